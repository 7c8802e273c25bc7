"""The page of an error: self-contained, light and dark, without scripts."""

from string import Template

PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>$status $title</title>
<style>
:root { color-scheme: light dark; --ink: #1c2024; --dim: #60646c; --ground: #fcfcfd; \
--line: #e0e1e6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #edeef0; --dim: #a0a4ab; --ground: #111113; --line: #363a3f; }
}
body { margin: 0; min-height: 100vh; display: grid; place-items: center; \
background: var(--ground); color: var(--ink); \
font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 32rem; padding: 2rem; }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.3; font-weight: 600; }
h1 span { color: var(--dim); font-weight: 400; font-variant-numeric: tabular-nums; }
p { margin: .75rem 0 0; }
footer { margin-top: 2rem; padding-top: 1rem; border-top: 1px solid var(--line); \
color: var(--dim); font-size: .875rem; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; \
overflow-wrap: anywhere; }
</style>
</head>
<body>
<main>
<h1><span>$status</span> $title</h1>
<p>$text</p>
<footer>Request <code>$request_id</code></footer>
</main>
</body>
</html>
""")
