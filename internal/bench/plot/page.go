package plot

import (
	"html/template"
	"io"
)

// Page is a report.
type Page struct {
	Title    string
	Lines    []string // below the title: what was measured, where and when
	Sections []Section
}

// Section is a heading, a table and charts, each of which may be absent.
type Section struct {
	Title, Note string
	Header      []string
	Rows        [][]string
	Charts      []Chart
}

// Write writes the page as one HTML file.
func (p *Page) Write(w io.Writer) error { return page.Execute(w, p) }

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"svg": func(c Chart) template.HTML { return template.HTML(c.SVG()) }, // which escapes what it is given
}).Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
:root { color-scheme: light dark; --text: #1b1f24; --soft: #5b636d; --rule: #d8dce1; --back: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ed; --soft: #9aa4b0; --rule: #3a414a; --back: #16191d; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); max-width: 1340px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .3rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
p { color: var(--soft); margin: .2rem 0; max-width: 60rem; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .8rem; border-bottom: 1px solid var(--rule); } th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: nowrap; }
th { font-weight: 600; color: var(--soft); }
.scroll { overflow-x: auto; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 1rem 2rem; max-width: 84rem; }
svg { width: 100%; height: auto; max-width: 44rem; font: 12px system-ui, sans-serif; fill: var(--text); }
svg .title { font-size: 14px; font-weight: 600; } svg .tick, svg .axis { fill: var(--soft); } svg .grid { stroke: var(--rule); }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
{{range .Lines}}<p>{{.}}</p>
{{end}}{{range .Sections}}<section>
<h2>{{.Title}}</h2>
{{if .Note}}<p>{{.Note}}</p>
{{end}}{{if .Header}}<div class="scroll"><table>
<thead><tr>{{range .Header}}<th>{{.}}</th>{{end}}</tr></thead>
<tbody>
{{range .Rows}}<tr>{{range .}}<td>{{.}}</td>{{end}}</tr>
{{end}}</tbody>
</table></div>
{{end}}{{if .Charts}}<div class="charts">
{{range .Charts}}<figure style="margin:0">{{svg .}}</figure>
{{end}}</div>
{{end}}</section>
{{end}}</body>
</html>
`))
