// Which texts in the filter box are expressions, and which are parts of a path.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isExpression } from "../../src/dashboard/page/expression.js";

const FIELDS = ["key", "environment", "version", "size", "modified", "modified_by", "expires", "owner", "groups"];

test("what has an operator behind a field is an expression, also a wrong one", () => {
  for (const text of [
    "version > 3", "version>3", "key contains ret", "(owner = root and not key starts_with app)", "expires is_null",
    "groups = [payments, ops]", "VERSION >= 2", "key starts_with \"a b\"", "nothing = 3", "version >> 1", "modified_by != alice or size < 10",
  ]) assert.equal(isExpression(text, FIELDS), true, text);
});

test("what is a part of a path is none, while it is typed too", () => {
  for (const text of ["", "db", "db/password", "version", "version ", "key", "a=b", "contains", "key contains", "x/is_null", "app > ", "<img src=x>", "a b c", "version/3"]) {
    assert.equal(isExpression(text, FIELDS), text === "key contains", text);
  }
});
