//! `/docs`: the OpenAPI document as a page to read. One file, nothing from elsewhere, no script.

use std::fmt::Write;

use serde_json::Value;

use super::results::COMMANDS;
use crate::api::http::problem::{Kind, refusal_status};
use crate::domain::Code;

const STYLE: &str = include_str!("docs.css");

pub fn render(document: &Value) -> String {
    let mut page = String::with_capacity(64 * 1024);
    let title = text(&document["info"]["title"]);
    let version = text(&document["info"]["version"]);
    push(&mut page, format_args!("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"));
    push(&mut page, format_args!("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"));
    push(&mut page, format_args!("<title>{title} HTTP interface</title><style>{STYLE}</style></head><body>"));
    let about = prose(text(&document["info"]["description"]).as_str());
    push(&mut page, format_args!("<header><h1>{title} <small>{version}</small></h1><p>{about}</p>"));
    push(&mut page, format_args!("<p>As a document for machines: <a href=\"/openapi.json\">/openapi.json</a></p>"));
    let tags: Vec<&Value> = document["tags"].as_array().into_iter().flatten().collect();
    let tags: Vec<&Value> =
        tags.into_iter().filter(|tag| operations(document, &text(&tag["name"])).count() > 0).collect();
    page.push_str("<nav>");
    for name in tags.iter().map(|tag| text(&tag["name"])).chain(["codes".to_owned(), "schemas".to_owned()]) {
        push(&mut page, format_args!("<a href=\"#{name}\">{name}</a> "));
    }
    page.push_str("</nav></header><main>");
    for tag in tags {
        let name = text(&tag["name"]);
        let about = prose(&text(&tag["description"]));
        push(&mut page, format_args!("<section id=\"{name}\"><h2>{name}</h2><p>{about}</p>"));
        for (path, method, operation) in operations(document, &name) {
            write_operation(&mut page, document, path, method, operation);
        }
        page.push_str("</section>");
    }
    write_codes(&mut page);
    write_schemas(&mut page, document);
    page.push_str("</main></body></html>\n");
    page
}

fn operations<'d>(document: &'d Value, tag: &str) -> impl Iterator<Item = (&'d String, &'d String, &'d Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let all = paths.flat_map(|(path, methods)| {
        methods.as_object().into_iter().flatten().map(move |(method, operation)| (path, method, operation))
    });
    let tag = tag.to_owned();
    all.filter(move |(_, _, operation)| operation["tags"].as_array().is_some_and(|tags| tags.iter().any(|t| *t == tag)))
}

fn write_operation(page: &mut String, document: &Value, path: &str, method: &str, operation: &Value) {
    let id = text(&operation["operationId"]);
    let verb = method.to_uppercase();
    let path = escape(path);
    push(page, format_args!("<article id=\"{id}\"><h3><b class=\"{method}\">{verb}</b> <code>{path}</code></h3>"));
    push(page, format_args!("<p>{}</p>", prose(&text(&operation["summary"]))));
    if operation["description"].is_string() {
        push(page, format_args!("<p>{}</p>", prose(&text(&operation["description"]))));
    }
    let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
    if !parameters.is_empty() {
        page.push_str("<table><tr><th>parameter</th><th>in</th><th></th></tr>");
        for parameter in parameters {
            let parameter = resolve(document, parameter);
            let (name, place) = (escape(&text(&parameter["name"])), text(&parameter["in"]));
            let about = prose(&text(&parameter["description"]));
            push(page, format_args!("<tr><td><code>{name}</code></td><td>{place}</td><td>{about}</td></tr>"));
        }
        page.push_str("</table>");
    }
    if let Some(body) = operation["requestBody"]["content"].get("application/json") {
        push(page, format_args!("<p>Body: {}</p>", type_of(&body["schema"])));
        if let Some(example) = body.get("example") {
            push(page, format_args!("<pre>{}</pre>", escape(&format!("{example:#}"))));
        }
    }
    page.push_str("<table><tr><th>answer</th><th></th><th>body</th></tr>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let about = link_codes(&prose(&text(&response["description"])));
        let body = response["content"].as_object().and_then(|content| content.values().next());
        let body = body.map_or(String::new(), |content| type_of(&content["schema"]));
        push(page, format_args!("<tr><td>{status}</td><td>{about}</td><td>{body}</td></tr>"));
    }
    page.push_str("</table></article>");
}

fn write_codes(page: &mut String) {
    page.push_str("<section id=\"codes\"><h2>codes</h2><p>Every error is <code>application/problem+json</code> with ");
    page.push_str("a <code>code</code> that stays. Refusals of the rules, each decided by its place on the log:</p>");
    page.push_str("<table><tr><th>refusal</th><th>status</th><th>of</th></tr>");
    for code in Code::ALL {
        let status = refusal_status(code).as_u16();
        let of = COMMANDS.into_iter().filter(|command| command.refusals().contains(&code));
        let of = match code {
            Code::IdempotencyKeyReused | Code::SkippedByOperator => "every command".to_owned(),
            _ => of.map(|command| command.as_str()).collect::<Vec<_>>().join(", "),
        };
        push(page, format_args!("<tr id=\"{code}\"><td><code>{code}</code></td><td>{status}</td><td>{of}</td></tr>"));
    }
    page.push_str("</table><p>What the API itself finds:</p>");
    page.push_str("<table><tr><th>problem</th><th>status</th><th></th></tr>");
    for kind in Kind::ALL {
        let (code, status, meaning) = (kind.as_str(), kind.status().as_u16(), prose(kind.meaning()));
        push(
            page,
            format_args!("<tr id=\"{code}\"><td><code>{code}</code></td><td>{status}</td><td>{meaning}</td></tr>"),
        );
    }
    page.push_str("</table></section>");
}

fn write_schemas(page: &mut String, document: &Value) {
    page.push_str("<section id=\"schemas\"><h2>schemas</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let about = prose(&text(&schema["description"]));
        push(page, format_args!("<article id=\"schema-{name}\"><h3>{name}</h3><p>{about}</p>"));
        if let Some(values) = schema["enum"].as_array() {
            let values: Vec<String> = values.iter().map(text).collect();
            push(page, format_args!("<p><code>{}</code></p>", escape(&values.join(" | "))));
        }
        if let Some(properties) = schema["properties"].as_object() {
            let required: Vec<String> = schema["required"].as_array().into_iter().flatten().map(text).collect();
            page.push_str("<table><tr><th>field</th><th>type</th><th></th></tr>");
            for (field, property) in properties {
                let mark = if required.contains(field) { "" } else { "?" };
                let about = prose(&text(&property["description"]));
                let kind = type_of(property);
                push(page, format_args!("<tr><td><code>{field}{mark}</code></td><td>{kind}</td><td>{about}</td></tr>"));
            }
            page.push_str("</table>");
        }
        page.push_str("</article>");
    }
    page.push_str("</section>");
}

/// A type in a few words, linked where it has a name.
fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|place| place.rsplit('/').next()) {
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let part = |part: &Value| type_of(part.pointer("/properties/result").unwrap_or(part));
        return parts.iter().map(part).collect::<Vec<_>>().join(" with ");
    }
    if let Some(choices) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
        let named: Vec<String> = choices.iter().filter(|choice| choice["type"] != "null").map(type_of).collect();
        return named.join(" or ");
    }
    let name = match &schema["type"] {
        Value::Array(names) => names.iter().map(text).find(|name| name != "null").unwrap_or_default(),
        name => text(name),
    };
    match (name.as_str(), schema["format"].as_str()) {
        ("array", _) => format!("list of {}", type_of(&schema["items"])),
        ("integer", _) | (_, None) => escape(if name.is_empty() { "any" } else { &name }),
        (_, Some(format)) => escape(&format!("{name} ({format})")),
    }
}

fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let place = value["$ref"].as_str().and_then(|place| place.strip_prefix('#'));
    place.and_then(|place| document.pointer(place)).unwrap_or(value)
}

/// Text with `code` between backticks, escaped.
fn prose(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for (index, part) in text.split('`').enumerate() {
        let part = escape(part);
        if index % 2 == 1 { push(&mut html, format_args!("<code>{part}</code>")) } else { html.push_str(&part) }
    }
    html
}

/// Codes named in a description lead to their row of the table.
fn link_codes(html: &str) -> String {
    let all = Code::ALL.into_iter().map(Code::as_str).chain(Kind::ALL.into_iter().map(Kind::as_str));
    all.fold(html.to_owned(), |html, code| {
        html.replace(&format!("<code>{code}</code>"), &format!("<a href=\"#{code}\"><code>{code}</code></a>"))
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = page.write_fmt(text);
}
