// Label selectors.

const OPERATORS = {
  In: { matches: (value, values) => values.includes(value), format: (key, values) => `${key} in (${values})` },
  NotIn: { matches: (value, values) => !values.includes(value), format: (key, values) => `${key} notin (${values})` },
  Exists: { matches: (value) => value !== undefined, format: (key) => key },
  DoesNotExist: { matches: (value) => value === undefined, format: (key) => `!${key}` },
};

export function selectorMatches({ matchLabels = {}, matchExpressions = [] }, labels = {}) {
  return (
    Object.entries(matchLabels).every(([name, value]) => labels[name] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => OPERATORS[operator].matches(labels[key], values))
  );
}

export function formatSelector({ matchLabels = {}, matchExpressions = [] }) {
  const labels = Object.entries(matchLabels).map(([name, value]) => `${name}=${value}`);
  const expressions = matchExpressions.map(({ key, operator, values = [] }) =>
    OPERATORS[operator].format(key, values.join(",")),
  );
  return [...labels, ...expressions].join(",");
}
