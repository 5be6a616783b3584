// Times, counts and rights in plain English.

const UNITS = [["year", 31_557_600], ["month", 2_629_800], ["week", 604_800], ["day", 86_400], ["hour", 3600], ["minute", 60]];

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const numbers = new Intl.NumberFormat("en");
const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

/** How long ago a time was, or how soon it comes: "3 hours ago", "in 2 days". */
export function ago(time, now = Date.now()) {
  const seconds = (new Date(time).getTime() - now) / 1000;
  if (Number.isNaN(seconds)) return "";
  const [unit, length] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  if (unit === "second") return seconds > 0 ? "in less than a minute" : "just now";
  return relative.format(Math.trunc(seconds / length), unit);
}

/** A time in full, as the browser's user writes it. */
export function exact(time) {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? "" : exactly.format(date);
}

/** 3400 as "3,400". */
export function number(n) {
  return numbers.format(n);
}

/** "1 key", "3,400 keys", "2 directories". */
export function count(n, noun) {
  const plural = /[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return `${number(n)} ${n === 1 ? noun : plural}`;
}

/** "rw" as "read and write". */
export function rights(letters) {
  const read = letters.includes("r"), write = letters.includes("w");
  if (read && write) return "read and write";
  return read ? "read" : write ? "write only" : "nothing";
}

/** What it means that the server compares secrets: said wherever that is asked for, before it is done. */
export const OPENS_SECRETS = "The server opens each secret that you may read, and shows none. Each opening is in the audit log.";

/** "a", "a and b", "a, b and c". */
export function list(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
