import assert from 'node:assert/strict';
import { goTemplate, mapOf, type Value } from '../../../../cli/format/go-template/index.ts';

const SERVICE: Value = {
  ID: 'abc',
  Name: 'web',
  Replicas: 3,
  Empty: '',
  Gone: undefined,
  Tags: ['a', 'b', 'c'],
  Labels: mapOf({ zone: 'eu', app: 'shop' }),
  Spec: { Mode: { Replicated: { Replicas: 3 }, Global: undefined } },
};

function render(template: string, data: Value = SERVICE): string {
  return goTemplate(template)(data);
}

describe('a Go template', () => {
  const cases: readonly (readonly [template: string, output: string])[] = [
    ['plain text', 'plain text'],
    ['{{.ID}}: {{.Name}}', 'abc: web'],
    ['{{ .Spec.Mode.Replicated.Replicas }}', '3'],
    ['{{.Gone}}', '<no value>'],
    ['{{.Spec.Mode.Global.Anything}}', '<no value>'],
    ['{{.Labels.zone}} {{.Labels.nothing}}', 'eu <no value>'],
    ['{{.Labels}}', 'map[app:shop zone:eu]'],
    ['{{.Tags}}', '[a b c]'],
    ['{{json .Labels}}', '{"app":"shop","zone":"eu"}'],
    ['{{json .Spec}}', '{"Mode":{"Replicated":{"Replicas":3}}}'],
    ['{{.Name | upper | printf "%-6s|"}}', 'WEB   |'],
    ['{{printf "%s has %d (%q, %05.1f, %v)" .Name .Replicas .ID 2.5 true}}', 'web has 3 ("abc", 002.5, true)'],
    ['{{println .Name .Replicas}}', 'web 3\n'],
    ['{{join .Tags ", "}}', 'a, b, c'],
    ['{{join (split "x/y/z" "/") "-"}}', 'x-y-z'],
    ['{{index .Tags 1}} {{index .Labels "app"}}', 'b shop'],
    ['{{len .Tags}} {{len .Name}} {{len .Labels}}', '3 3 2'],
    ['{{if .Empty}}yes{{else}}no{{end}}', 'no'],
    ['{{if and .Name (gt .Replicas 2)}}big{{end}}', 'big'],
    ['{{if eq .Name "api" "web"}}known{{else}}unknown{{end}}', 'known'],
    ['{{if eq .Name "api"}}A{{else if eq .Name "web"}}W{{else}}?{{end}}', 'W'],
    ['{{if not .Gone}}none{{end}}', 'none'],
    ['{{range .Tags}}<{{.}}>{{end}}', '<a><b><c>'],
    ['{{range $i, $t := .Tags}}{{if $i}},{{end}}{{$i}}={{$t}}{{end}}', '0=a,1=b,2=c'],
    ['{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}', 'app=shop;zone=eu;'],
    ['{{range .Gone}}x{{else}}empty{{end}}', 'empty'],
    ['{{with .Spec.Mode}}{{.Replicated.Replicas}} of {{$.Name}}{{end}}', '3 of web'],
    ['{{with $x := .Name}}{{$x}}{{end}}', 'web'],
    ['{{$n := .Name}}{{$n = "other"}}{{$n}}', 'other'],
    ['a  {{- /* nothing */ -}}  b', 'ab'],
    ['a {{- .ID -}} b', 'aabcb'],
    ['{{"quoted \\"x\\""}} {{`raw \\n`}}', 'quoted "x" raw \\n'],
    ['{{lower "ABC"}}{{title "shoal mesh"}}', 'abcShoal Mesh'],
    ['{{truncate .Name 2}}', 'we'],
  ];
  for (const [template, output] of cases) {
    it(`${template} gives ${JSON.stringify(output)}`, () => {
      assert.equal(render(template), output);
    });
  }

  const mistakes: readonly (readonly [template: string, complaint: RegExp])[] = [
    ['{{.Nmae}}', /no field \.Nmae here; known: \.ID, \.Name/],
    ['{{.Name.More}}', /\.More: web has no fields/],
    ['{{frobnicate .Name}}', /no function frobnicate; known: and, /],
    ['{{.Name', /not closed by }}/],
    ['{{if .Name}}', /{{if}} without {{end}}/],
    ['{{end}}', /{{end}} without a beginning/],
    ['{{$x}}', /no variable \$x/],
    ['{{.Name | .ID}}', /only functions can follow/],
    ['{{index .Tags 9}}', /beyond a list of 3/],
    ['{{range .Name}}{{end}}', /range takes a list or a map/],
    ['{{#}}', /"#" is not expected/],
    ['{{upper .Replicas}}', /upper takes a string/],
    ['{{}}', /a value is missing/],
  ];
  for (const [template, complaint] of mistakes) {
    it(`${template} is refused with the reason`, () => {
      assert.throws(() => render(template), { code: 'invalid_argument', message: complaint });
    });
  }
});
