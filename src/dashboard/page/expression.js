// Whether what stands in the filter box is plain text or an expression of the command line's filter language.
//
// It deliberately reads no more than that: what an expression means, and where it is wrong, the server says.

const SIGNS = String.raw`==|!=|<=|>=|=|<|>`;
const WORDS = String.raw`starts_with|ends_with|contains|is_null|is_not_null`;

/** A field's name, or what may be meant as one, followed by an operator. */
const CONDITION = new RegExp(String.raw`(?:^|[\s(])[A-Za-z_]\w*\s*(?:(?:${SIGNS})\s*\S|\s(?:${WORDS})(?![\w/.-]))`, "i");

/** Whether it has an operator behind a field. `fields` are the names that there are: without a blank around a sign, only these count. */
export function isExpression(text, fields) {
  if (!CONDITION.test(text)) return false;
  const named = new RegExp(String.raw`(?:^|[\s(])(?:${fields.join("|")})\s*(?:${SIGNS}|\s(?:${WORDS}))`, "i");
  return named.test(text) || new RegExp(String.raw`\s(?:${SIGNS}|${WORDS})(?:\s|$)`, "i").test(text);
}
