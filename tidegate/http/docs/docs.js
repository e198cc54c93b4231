// Draws /openapi.json. Needs no network but our own server, and nothing that a strict CSP forbids.

const element = (name, attributes = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};

const resolve = (description, schema) => {
  const name = schema?.$ref?.split("/").pop();
  return name ? { name, ...description.components.schemas[name] } : schema ?? {};
};

// A schema in a few words: text, number ≥ 1, list of Room, "a" or "b".
function words(description, schema) {
  const whole = resolve(description, schema);
  if (whole.anyOf) return [...new Set(whole.anyOf.map((part) => words(description, part)))].join(" or ");
  if (whole.const !== undefined) return JSON.stringify(whole.const);
  if (whole.enum) return whole.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (whole.type === "array") return `list of ${words(description, whole.items)}`;
  if (whole.name) return whole.name;
  const bounds = [];
  if (whole.minimum !== undefined) bounds.push(`≥ ${whole.minimum}`);
  if (whole.maximum !== undefined) bounds.push(`≤ ${whole.maximum}`);
  if (whole.maxLength !== undefined) bounds.push(`at most ${whole.maxLength} characters`);
  return [whole.format ?? whole.type ?? "anything", ...bounds].join(" ");
}

// One row for each field, those of inner objects under their path.
function* fields(description, schema, path = "", seen = []) {
  const whole = resolve(description, schema);
  for (const [name, field] of Object.entries(whole.properties ?? {})) {
    const here = path ? `${path}.${name}` : name;
    const parts = [field, ...(field.anyOf ?? [])].map((part) => resolve(description, part));
    const required = whole.required?.includes(name) ?? false;
    const fallback = field.default === undefined || field.default === null ? "" : JSON.stringify(field.default);
    const about = field.description ?? parts.map((part) => part.description).find(Boolean) ?? "";
    yield { path: here, type: words(description, field), required, fallback, about };
    for (const part of parts) {
      const inner = part.type === "array" ? resolve(description, part.items) : part;
      if (inner.properties && !seen.includes(inner.name)) {
        yield* fields(description, inner, part.type === "array" ? `${here}[]` : here, [...seen, inner.name]);
      }
    }
  }
}

function table(caption, rows, kind) {
  const head = element("tr", {}, ...["Name", "Form", kind, "Meaning"].map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map((row) =>
    element(
      "tr",
      {},
      element("td", {}, element("code", {}, row.path)),
      element("td", {}, row.type),
      element("td", {}, row.required ? "required" : row.fallback),
      element("td", {}, row.about),
    ),
  );
  return [element("h3", {}, caption), element("table", {}, element("thead", {}, head), element("tbody", {}, ...body))];
}

function* contents(description, operation) {
  if (operation.description) yield element("p", {}, operation.description);
  const parameters = (operation.parameters ?? []).map((parameter) => ({
    path: parameter.name,
    type: `${words(description, parameter.schema)} (${parameter.in})`,
    required: parameter.required,
    fallback: parameter.schema.default === undefined || parameter.schema.default === null ? "" : JSON.stringify(parameter.schema.default),
    about: parameter.description ?? "",
  }));
  if (parameters.length) yield* table("Parameters", parameters, "Default");
  for (const [type, content] of Object.entries(operation.requestBody?.content ?? {})) {
    const rows = [...fields(description, content.schema)];
    if (rows.length) yield* table(`Body: ${type}`, rows, "Default");
    else yield element("h3", {}, `Body: ${type}`);
  }
  for (const [status, answer] of Object.entries(operation.responses)) {
    for (const [type, content] of Object.entries(answer.content ?? {})) {
      const rows = [...fields(description, content.schema)];
      if (rows.length) yield* table(`Answer ${status}: ${type}`, rows, "Always");
      else yield element("h3", {}, `Answer ${status}: ${type}`);
    }
    if (!answer.content && !answer.$ref) yield element("h3", {}, `Answer ${status}`);
  }
}

function drawRoute(description, method, path, operation) {
  const access = operation.security.length === 0 ? "open" : operation.security.some((scheme) => scheme.token) ? "token" : "our own page";
  const inside = element("div");
  const details = element(
    "details",
    { id: operation.operationId },
    element(
      "summary",
      {},
      element("span", { class: "method" }, method.toUpperCase()),
      element("code", {}, path),
      element("span", {}, operation.summary),
      element("span", { class: "quiet" }, access),
    ),
    inside,
  );
  details.addEventListener("toggle", () => {
    if (details.open && !inside.childElementCount) inside.append(...contents(description, operation));
  });
  details.dataset.search = `${method} ${path} ${operation.summary}`.toLowerCase();
  return details;
}

function draw(description) {
  document.getElementById("about").replaceChildren(
    `Version ${description.info.version}. ${description.info.summary}. Machines read `,
    element("a", { href: "/openapi.json" }, "/openapi.json"),
    ".",
  );
  const main = document.getElementById("routes");
  for (const { name } of description.tags) {
    const id = `tag-${name.toLowerCase()}`;
    document.getElementById("tags").append(element("a", { href: `#${id}` }, name));
    const section = element("section", { "aria-labelledby": id }, element("h2", { id }, name));
    for (const [path, operations] of Object.entries(description.paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        if (operation.tags.includes(name)) section.append(drawRoute(description, method, path, operation));
      }
    }
    main.append(section);
  }
  const wanted = document.getElementById(location.hash.slice(1));
  if (wanted) {
    wanted.open = true;
    wanted.scrollIntoView();
  }
}

document.getElementById("filter").addEventListener("input", (event) => {
  const text = event.target.value.trim().toLowerCase();
  for (const section of document.querySelectorAll("main section")) {
    const routes = [...section.querySelectorAll("details")];
    for (const route of routes) route.hidden = !route.dataset.search.includes(text);
    section.hidden = routes.every((route) => route.hidden);
  }
});

try {
  const response = await fetch("/openapi.json");
  if (!response.ok) throw new Error(`status ${response.status}`);
  draw(await response.json());
} catch (error) {
  document.getElementById("about").textContent = `The description cannot be read: ${error.message}`;
}
