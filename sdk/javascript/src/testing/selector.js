// Label selectors in their string form.

import { thrown } from "./failure.js";

const SET = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/;
const EQUALITY = /^([^\s=!]+)\s*(==|=|!=)\s*(\S*)$/;
const PRESENCE = /^(!?)\s*([\w./-]+)$/;

/** A predicate over labels; what does not parse is thrown as the contract's error. */
export function parseSelector(selector) {
  const terms = selector.split(/,(?![^(]*\))/).map((term) => term.trim());
  const predicates = terms.filter((term) => term).map(parseTerm);
  return (labels = {}) => predicates.every((matches) => matches(labels));
}

function parseTerm(term) {
  const [, setName, operator, list] = SET.exec(term) ?? [];
  if (setName) {
    const values = list.split(",").map((value) => value.trim());
    return (labels) => values.includes(labels[setName]) === (operator === "in");
  }
  const [, name, sign, value] = EQUALITY.exec(term) ?? [];
  if (name) return (labels) => (labels[name] === value) === (sign !== "!=");
  const [, absent, present] = PRESENCE.exec(term) ?? [];
  if (present) return (labels) => (labels[present] === undefined) === (absent === "!");
  throw thrown(`unable to parse requirement: ${term}`);
}
