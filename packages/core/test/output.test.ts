import { assert, describe, it } from "@effect/vitest"
import { InvalidInput, Output } from "@llm-cache/core"
import { Arbitrary, Effect, Exit, Result, Schema } from "effect"
import type { Node } from "../src/internal/output/spec.ts"
import { parseHugeTexts } from "./support/hugeTexts.ts"
import { readSlowly } from "./support/outputReference.ts"
import { runScript } from "./support/runScript.ts"

const { code, json, parse, render, repeat, sequence, tag, text } = Output

const reads = <A>(spec: Output.Spec<A>, cases: Record<string, NoInfer<A>>) =>
  Effect.forEach(
    Object.entries(cases),
    ([from, value]) => Effect.map(parse(spec)(from), (read) => assert.deepStrictEqual(read, value))
  )

const refuses = <A>(spec: Output.Spec<A>, from: string, expected: Partial<Output.OutputError>) =>
  Effect.map(Effect.flip(parse(spec)(from)), (error) => {
    assert.instanceOf(error, Output.OutputError)
    const fields = Object.keys(expected).map((name) => [name, error[name as keyof Output.OutputError]])
    assert.deepStrictEqual(Object.fromEntries(fields), expected)
  })

interface Nested extends ReadonlyArray<Nested> {}
const Nested: Schema.Codec<Nested> = Schema.Array(Schema.suspend(() => Nested))

const nothing = "none from here on"
const notClosed = "a code fence that is not closed"
const algorithms = sequence([tag("problem"), repeat(sequence([tag("algorithm"), code()]))])

describe("Output.tag", () => {
  it.effect("reads the text without one line break at each end", () =>
    reads(tag("a"), {
      "x <a>b</a> y": "b",
      "<a>\nb\n</a>": "b",
      "<a>\r\nb\r\n</a>": "b",
      "<a>\n\n b \n\n</a>": "\n b \n",
      "<a></a>": "",
      "<a>\n</a>": "",
      "<a>\n\n</a>": "",
      "<a>b\r</a>": "b\r",
      "<a><b>c</b></a>": "<b>c</b>",
      "<A>1</A><a>2</a>": "2",
      "<a>1</a><a>2</a>": "1",
      "</a><a>1</a>": "1",
      "<a href=''>1</a><a>2</a>": "2"
    }))

  it.effect("ignores opening and closing tags in a fence", () =>
    reads(tag("a"), {
      "```\n<a>1</a>\n```\n<a>2</a>": "2",
      "<a>1\n```\n</a>\n```\n2</a>": "1\n```\n</a>\n```\n2",
      "x ```\n<a>1</a>\n": "1"
    }))

  it.effect("fails at the place of a missing, unclosed or hidden tag", () =>
    Effect.all([
      refuses(tag("a"), "x\n<b>", { expected: "<a>", found: nothing, offset: 0, line: 1, column: 1, path: [] }),
      refuses(tag("a"), "x\n <a>y", { expected: "</a>", found: nothing, offset: 6, line: 2, column: 5 }),
      refuses(tag("a"), "x\n\n```\n<a>y</a>", { expected: "<a>", found: notClosed, offset: 3, line: 3, column: 1 }),
      refuses(tag("a"), "<a>\n```\ny</a>", { expected: "</a>", found: notClosed, offset: 4, line: 2, column: 1 })
    ]))

  it("throws InvalidInput for a name that cannot be a tag", () => {
    for (const name of ["", "a b", "a>", "<a", "/a", "a\n"]) {
      assert.throws(() => tag(name), InvalidInput.InvalidInput, /Output\.tag/)
    }
  })
})

describe("Output.code", () => {
  it.effect("reads the lines of a CommonMark fence", () =>
    reads(code(), {
      "x\n```py\na\n\n  b\n```\ny": "a\n\n  b",
      "```\na\n```": "a",
      "~~~ py ` ` x\na\n~~~": "a",
      "```\n```": "",
      "```\n\n```": "",
      "```\n\n\n```": "\n",
      "```\r\na\r\nb\r\n```\r\n": "a\r\nb",
      "   ```\n   a\n    b\n c\n   ```": "a\n b\nc",
      "````\n```\na\n```\n````": "```\na\n```",
      "```\na\n`````  \t\n": "a",
      "```\n~~~\n    ``` x\n    ```\n```": "~~~\n    ``` x\n    ```",
      "````\n``` x\n```\n````": "``` x\n```",
      "```\n~~~ x\n```": "~~~ x",
      "```\n``` a`b\n```": "``` a`b",
      "    ```\n```\na\n```": "a",
      "``\n```\na\n```": "a",
      "x ```\n```\na\n```": "a",
      "``` a`b\n```\na\n```": "a",
      "<a>\n```\nb\n```\n</a>": "b"
    }))

  it.effect("skips fences of other languages", () =>
    reads(code({ language: "Py" }), {
      "```\na\n```\n```pyt\nb\n```\n```PY {x}\nc\n```": "c",
      "````md\n```py\na\n```\n````\n```py\nb\n```": "b"
    }))

  it.effect("fails at the place of a missing or unclosed fence", () =>
    Effect.all([
      refuses(code(), "a ```b```", { expected: "a code fence", found: nothing, offset: 0 }),
      refuses(code(), "a\n```\nb\n``` c\n", { expected: "the end of a code fence", found: notClosed, offset: 2 }),
      refuses(code(), "```", { found: notClosed, offset: 0 }),
      refuses(code({ language: "py" }), "```\na\n```", { expected: "a code fence of py", found: nothing }),
      refuses(code({ language: "py" }), "```\n```py\na\n", {
        expected: "a code fence of py",
        found: notClosed,
        offset: 0
      })
    ]))

  it("throws InvalidInput for a language that is not one word", () => {
    for (const language of ["", "a b", "a`", "~"]) {
      assert.throws(() => code({ language }), InvalidInput.InvalidInput, /Output\.code/)
    }
  })
})

describe("Output.json", () => {
  const Person = Schema.Struct({ name: Schema.String, born: Schema.Date })
  const person = { name: "Ada", born: new Date(0) }
  const born = `{"name":"Ada","born":"1970-01-01T00:00:00.000Z"}`

  it.effect("reads a fence or the whole rest of the text", () =>
    reads(json(Person), {
      [`{} \`\`\`{}\`\`\`\n\`\`\`js\n{}\n\`\`\`\n\`\`\`JSON\n${born}\n\`\`\`\n{}`]: person,
      [`  ${born}\n`]: person
    }))

  it.effect("reads any kind of JSON value", () =>
    reads(sequence([json(Schema.Unknown)]), {
      "1": [1],
      "-1": [-1],
      "true": [true],
      "false": [false],
      "null": [null],
      "\t\r\n \"a\"": ["a"],
      "[]": [[]]
    }))

  it.effect("decodes values in any place of a spec", () =>
    reads(repeat(sequence([tag("q"), json(Person)])), {
      [`<q>1</q>${born}<q>2</q>\n\`\`\`json\n${born}\n\`\`\`\n<q>3</q>${born}`]: [["1", person], ["2", person], [
        "3",
        person
      ]]
    }))

  it.effect("fails if the value is missing, not JSON or not of the schema", () =>
    Effect.gen(function*() {
      yield* refuses(json(Person), "Here: Ada", {
        expected: "a code fence of json, or one JSON value",
        found: nothing,
        offset: 0
      })
      yield* refuses(json(Person), `\`\`\`json\n${born}`, { found: notClosed })
      yield* refuses(json(Person), "```json\n\n```", { expected: "JSON", offset: 8, line: 2 })
      const syntax = yield* Effect.flip(parse(sequence([tag("a"), json(Person)]))("<a></a>\n```json\n{]\n```"))
      assert.deepStrictEqual([syntax.expected, syntax.offset, syntax.path], ["JSON", 16, [1]])
      const schema = yield* Effect.flip(parse(sequence([tag("a"), json(Person)]))(`<a></a>{"name":"Ada"}`))
      assert.deepStrictEqual([schema.expected, schema.offset, schema.path], ["JSON of the schema", 7, [1]])
      assert.include(schema.message, "born")
      assert.isTrue(Schema.isSchemaError(schema.cause))
    }))

  it.effect("fails if the value is nested too deeply, and dies of a bug in the schema", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(parse(json(Nested))("[".repeat(200_000) + "]".repeat(200_000)))
      assert.strictEqual(error.expected, "JSON of the schema")
      const bug = Schema.String.check(Schema.makeFilter(() => {
        throw new TypeError("bug")
      }))
      const exit = yield* Effect.exit(parse(json(bug))(`"a"`))
      assert.deepStrictEqual(exit, Exit.die(new TypeError("bug")))
    }))
})

describe("Reasoning", () => {
  const answer = tag("answer")

  it.effect("is passed over", () =>
    reads(answer, {
      "<think>Maybe <answer>41</answer>? No.</think><answer>42</answer>": "42",
      "<thinking>\n<answer>41</answer>\n</thinking>\n\n<answer>42</answer>": "42",
      "<Reasoning effort=\"high\">\n<answer>41</answer></Reasoning >\n<answer>42</answer>": "42",
      "<scratchpad><answer>41</answer></scratchpad><reflection><answer>43</answer></reflection><answer>42</answer>":
        "42",
      "[THINK]<answer>41</answer>[/THINK]<answer>42</answer>": "42",
      "◁think▷<answer>41</answer>◁/think▷<answer>42</answer>": "42",
      "<|START_THINKING|><answer>41</answer><|END_THINKING|><answer>42</answer>": "42",
      "<|begin_of_thought|><answer>41</answer><|end_of_thought|><answer>42</answer>": "42",
      "<seed:think><answer>41</answer></seed:think><answer>42</answer>": "42",
      "<think>\n```\nunfinished\n</think>\n<answer>42</answer>": "42",
      "<think><answer>41</think></answer><answer>42</answer>": "42",
      "<answer><think>41?</think>42</answer>": "42",
      "<think></think><answer>42</answer><think><answer>43</answer></think>": "42",
      "<think/><think /><answer>42</answer>": "42",
      "[think] <answer>42</answer>": "42"
    }))

  it.effect("lasts from the beginning to a closing tag without its opening tag", () =>
    reads(answer, {
      "Maybe <answer>41</answer>? No.</think><answer>42</answer>": "42",
      "Maybe <answer>41</answer>?\n</thinking>\n\n<answer>42</answer>": "42",
      "```\n<answer>41</answer>\n```\n</think><answer>42</answer>": "42",
      "```py\nprint(41)\n</think>\n<answer>42</answer>": "42",
      "<think>a<think>b</think><answer>41</answer></think><answer>42</answer>": "42",
      "<think>a</think><answer>41</answer></think><answer>42</answer>": "42",
      "`a\n<answer>41</answer></think>`<answer>42</answer>": "42"
    }))

  it.effect("ends with as many closing tags as it has opening tags", () =>
    reads(repeat(answer), {
      "<answer>1</answer><think>a<think>b</think><answer>2</answer></think><answer>3</answer>": ["1", "3"],
      "<answer>1</answer><think>I write <think> first.</think><answer>2</answer>": ["1", "2"],
      "<answer>1</answer><think>a</think><answer>2</answer></think><answer>3</answer>": ["3"],
      "<answer>1</answer>\n<think>```\n</think>\n<answer>2</answer>": ["1", "2"],
      "<answer>1</answer>\n<think>```\n41\n```\n</think>\n<answer>2</answer>": ["1", "2"],
      "<answer>1</answer><thinking>a<thinking>b</thinking></think><answer>2</answer>": ["2"]
    }))

  it.effect("does not begin or end with a tag in code or in quotes", () =>
    reads(answer, {
      "Between `<think>` and `</think>`. <answer>42</answer>": "42",
      "<think>I close it with `</think>`. <answer>41</answer></think><answer>42</answer>": "42",
      "<answer>42</answer> It splits at \"</think>\".": "42",
      "<answer>42</answer>\n```\ntext.split(\"</think>\") // </think>\n```": "42",
      "```\n<think>\n```\n<answer>42</answer>": "42",
      "<answer>42</answer>\n```\n<think>\nx\n</think>\n```": "42"
    }))

  it.effect("hides drafts of code and JSON", () =>
    Effect.all([
      reads(code(), {
        "<think>\n```\n41\n```\n</think>\n```\n42\n```": "42",
        "```\n41\n```\n</think>\n```\n42\n```": "42",
        "```\n41\n</think>\n```py\n42\n```": "42",
        "<think>\n```\n41\n</think>\n```\n42\n```": "42",
        "<think>x</think>```\n42\n```": "42",
        "<think>```\n41\n```\n</think>\n```\n42\n```": "42",
        "```\n41\n```</think>\n```\n42\n```": "42",
        "```md\n41\n```\n```\n41\n```\n</think>\n```\n42\n```": "42"
      }),
      reads(json(Schema.Unknown), {
        "<think>{\"a\":41}</think>\n{\"a\":42}": { a: 42 },
        "{\"a\":41}</think>\n\n{\"a\":42}": { a: 42 },
        "<think>\n```json\n41\n```\n</think>\n```json\n42\n```": 42,
        "<think>41</think>\n42": 42,
        "<think>41</think> <thinking>41</thinking>\n42": 42
      }),
      reads(text, { "<think>41</think>\n42": "\n42", "a<think>b</think>c": "ac", "41</think>42": "42" })
    ]))

  it.effect("is read by a spec that asks for it", () =>
    Effect.all([
      reads(sequence([tag("think"), answer]), {
        "<think>Maybe <answer>41</answer>?</think><answer>42</answer>": ["Maybe <answer>41</answer>?", "42"]
      }),
      reads(sequence([tag("Reasoning"), answer]), {
        "<think><Reasoning>1</Reasoning></think><Reasoning>2</Reasoning><answer>42</answer>": ["2", "42"]
      }),
      reads(tag("answer", sequence([tag("think"), text])), { "<answer><think>1</think>2</answer>": ["1", "2"] })
    ]))

  it.effect("is an error if it does not end, or holds all of the answer", () =>
    Effect.all([
      refuses(answer, "x <think>Maybe <answer>41</answer>", {
        expected: "<answer>",
        found: "reasoning that is not closed",
        offset: 2
      }),
      refuses(answer, "<answer>42<think></answer>", { expected: "</answer>", found: "reasoning that is not closed" }),
      refuses(text, "<think>Maybe", { expected: "the rest of the text", offset: 0 }),
      refuses(repeat(answer), "<answer>42</answer><think>", { found: "reasoning that is not closed", offset: 19 }),
      refuses(answer, "<think><answer>41</answer></think>", { found: "none outside of the reasoning" }),
      refuses(answer, "<answer>41</answer></think>", { found: "none outside of the reasoning" })
    ]))
})

describe("A tag that is only named", () => {
  it.effect("is no tag", () =>
    Effect.all([
      reads(tag("a"), {
        "I use <a> tags. <a>1</a>": "1",
        "I use `<a>` tags. <a>1</a>": "1",
        "I use `<a>0</a>`. <a>1</a>": "1",
        "I use ``<a>`0</a>``. <a>1</a>": "1",
        "I use `<a>\n0</a>`. <a>1</a>": "1",
        "I use ```<a>0</a>```. <a>1</a>": "1",
        "It goes between <a> and </a>. <a>1</a>": "1",
        "It goes in <a></a> tags. <a>1</a>": "1",
        "<a>...</a>\n<a>1</a>": "1",
        "<a>…</a>\n<a>1</a>": "1",
        "</a> closes <a>. <a>1</a>": "1",
        "<a><a>1</a></a>": "1",
        "<a>...</a>": "...",
        "<a>`</a>`1</a>": "`</a>`1",
        "<a>I write `<a>`</a>": "I write `<a>`"
      }),
      reads(repeat(tag("a")), { "Use <a> twice: <a>1</a><a></a>\n<a> and </a>": ["1", "", " and "] }),
      reads(repeat(sequence([tag("s"), repeat(tag("p"))])), {
        "I use <s> and <p>. <s>1</s><p> or <p>2</p><s>3</s>": [["1", ["2"]], ["3", []]]
      })
    ]))

  it.effect("is an error if the next item begins between both openings", () =>
    refuses(repeat(sequence([tag("s"), tag("p")])), "<s>1</s><p>x<s>2</s><p>3</p>", {
      expected: "</p>",
      found: "<s> first, which begins the next item",
      offset: 12,
      path: [0, 1]
    }))

  it.effect("is one that inline code holds, and not one near a lone backtick", () =>
    Effect.all([
      reads(tag("a"), {
        "5` <a>1</a>": "1",
        "5` <a>1</a> ``": "1",
        "5`\n\n<a>1</a> `": "1",
        "\\`<a>1</a>`": "1",
        "\\\\`<a>0</a>` <a>1</a>": "1",
        "\\``<a>0</a>` <a>1</a>": "1",
        "5`\n<a>\n1\n</a>\n6`": "1",
        "<a>\n5`\n</a>\n<b>\n6`\n</b>": "5`",
        "```\n`\n```\n<a>1</a>`": "1"
      }),
      refuses(tag("a"), "`<a>1</a>`", { found: nothing })
    ]))
})

describe("A fence in a fence", () => {
  const inner = "holds another one of the same length"

  it.effect("is content if it is shorter, and an error otherwise", () =>
    Effect.gen(function*() {
      yield* reads(code(), {
        "````md\n```py\n1\n```\n````": "```py\n1\n```",
        "~~~md\n```py\n1\n```\n~~~": "```py\n1\n```",
        "```md\n    ```py\n```": "    ```py"
      })
      for (
        const fence of [
          "```md\n0\n```\n1\n```\n2\n```",
          "```markdown\n```\n1\n```",
          "```md\n```py\n1\n```\n```",
          "```md\n````py\n1\n````\n```",
          "~~~md\n~~~py\n1\n~~~\n~~~"
        ]
      ) {
        for (const spec of [code(), code({ language: "py" }), repeat(code()), tag("a")]) {
          const error = yield* Effect.flip(parse(spec as Output.Spec<string>)(`x\n${fence}\n<a>1</a>`))
          assert.include(error.found, inner)
          assert.strictEqual(error.offset, 2)
        }
      }
      yield* reads(repeat(code()), {
        "```py\n1\n```\n```\n2\n```": ["1", "2"],
        "```md\n1\n```\n```py\n2\n```\n```\n3\n```": ["1", "2", "3"],
        "````md\n1\n````\n```\n2\n```": ["1", "2"],
        "```md\n1\n```\n~~~\n2\n~~~": ["1", "2"]
      })
      yield* reads(sequence([tag("a"), code()]), { "<a>1</a>\n```\n2\n```\n```md\n```py\n```\n```": ["1", "2"] })
    }))

  it.effect("may stand directly behind an opening tag, and end directly before a closing tag", () =>
    Effect.all([
      reads(tag("a", code()), {
        "<a>```py\n1\n```</a>": "1",
        "<a>\n```py\n1\n``` </a>": "1",
        " <b><a>```py\n</a>\n```\n</a>": "</a>"
      }),
      reads(code(), { "<a>  ```\n  1\n```</a>": "  1" }),
      refuses(tag("a"), "<a>1 ```\n2\n```", { found: notClosed })
    ]))
})

describe("The language of a fence", () => {
  it.effect("has several names", () =>
    Effect.gen(function*() {
      const pairs = [
        ["python", "py"],
        ["Python3", "python"],
        ["js", "javascript"],
        ["ts", "typescript"],
        ["sh", "bash"],
        ["shell", "sh"],
        ["yml", "yaml"],
        ["c++", "cpp"],
        ["c#", "csharp"],
        ["golang", "go"]
      ]
      for (const [one, other] of pairs) {
        yield* reads(code({ language: one }), {
          [`\`\`\`${other}\n1\n\`\`\``]: "1",
          [`\`\`\`${one}:main\n1\n\`\`\``]: "1",
          [`\`\`\`{.${other} .x}\n1\n\`\`\``]: "1"
        })
      }
      yield* reads(code({ language: "," }), { "```,\n1\n```": "1" })
      yield* refuses(code({ language: "java" }), "```javascript\n1\n```", { found: nothing })
      yield* refuses(code({ language: "c" }), "```cpp\n1\n```\n```c#\n2\n```", { found: nothing })
    }))
})

describe("Output.json, in looser texts,", () => {
  const any = json(Schema.Json)

  it.effect("reads fences without a language, behind those of JSON", () =>
    reads(any, {
      "x\n```\n{\"a\":1}\n```\ny": { a: 1 },
      "```\n{\"a\":0}\n```\n```json\n{\"a\":1}\n```": { a: 1 },
      "```\nx\n```\n```\n{\"a\":1}\n```": { a: 1 },
      "```py\n{}\n```\n{\"a\":1}": { a: 1 }
    }))

  it.effect("reads a value that is closed on its line", () =>
    reads(any, {
      "```json\n{\"a\":1}```": { a: 1 },
      "```json\n{\n\"a\":1}``` \nx": { a: 1 },
      "```\n{\"a\":\"```\"}```": { a: "```" },
      "```json {\"a\":1}```": { a: 1 },
      "```json {\"a\":1}\n```": { a: 1 },
      "It is `{\"a\":1}`.": { a: 1 }
    }))

  it.effect("reads a single value in prose", () =>
    reads(any, {
      "Here: {\"a\":{\"b\":[1,-2.5e3,true,null,\"]\\\"\\u00e9\"]}}. Done {well}, f(x) [sic].": {
        a: { b: [1, -2500, true, null, "]\"é"] }
      },
      "Broken: {\"a\":{\"b\":1},} and right: [2]": [2],
      "[]\nDone": [],
      "\"a {} b\"": "a {} b",
      "<answer>{}</answer>": {}
    }))

  it.effect("fails on several values in prose, and on parts of broken ones", () =>
    Effect.all([
      refuses(any, "Maybe {\"a\":1}? No, {\"a\":2}.", { expected: "a single JSON value", offset: 19 }),
      ...[
        "{\"a\":{\"b\":1}",
        "{\"a\":{\"b\":1},}",
        "{'a':{\"b\":1}}",
        "{a:{\"b\":1}}",
        "[01,{}]",
        "[1.,{}]",
        "[{\"b\":1} 2]",
        "[\"\n\",{}]",
        "[\"\\x\",{}]",
        "[\"\\u00g0\",{}]",
        "[{}}",
        "[trues,{}]",
        "{1:{}}",
        "{\"a\" {}}"
      ].map((broken) => refuses(any, broken, { found: nothing }))
    ]))

  it.effect("reads each value as an item of a repetition", () =>
    reads(repeat(any), { "{\"a\":1}\n{\"a\":2}\n[3]": [{ a: 1 }, { a: 2 }, [3]], "a {} b": [{}] }))

  it.effect("stands in a tag", () =>
    Effect.gen(function*() {
      const spec = sequence([text, tag("answer", json(Schema.Struct({ a: Schema.Int })))])
      const inTag = tag("answer", json(Schema.Struct({ a: Schema.Int })))
      yield* reads(inTag, {
        "{\"a\":0} <answer>{\"a\":1}</answer>": { a: 1 },
        "<answer>\n```json\n{\"a\":1}\n```\n</answer>": { a: 1 },
        "<answer>```json\n{\"a\":1}\n```</answer>": { a: 1 },
        "<answer>It is {\"a\":1}.</answer>": { a: 1 }
      })
      yield* reads(repeat(inTag), { "<answer>{\"a\":1}</answer><answer>{\"a\":2}</answer>": [{ a: 1 }, { a: 2 }] })
      yield* refuses(sequence([tag("b"), inTag]), "<b></b>\n<answer>{\"a\":1.5}</answer>", {
        expected: "JSON of the schema",
        offset: 16,
        line: 2,
        path: [1]
      })
      yield* refuses(sequence([inTag]), "<answer>none</answer>", { found: nothing, offset: 8, path: [0] })
      assert.strictEqual(yield* render(inTag)({ a: 1 }), "<answer>\n```json\n{\n  \"a\": 1\n}\n```\n</answer>")
      assert.deepStrictEqual(yield* Effect.flatMap(render(repeat(inTag))([{ a: 1 }, { a: 2 }]), parse(repeat(inTag))), [
        { a: 1 },
        { a: 2 }
      ])
      assert.instanceOf(yield* Effect.flip(render(spec)(["", { a: 1.5 }])), Output.OutputRenderError)
    }))

  it.effect("fails on a whole number that a number of JavaScript would round", () =>
    Effect.all([
      ...[
        "9007199254740993",
        "-9007199254740993",
        "[1, {\"id\": 12345678901234567890}]",
        "x [9007199254740993.0]",
        "1e999",
        "9.007199254740993e15"
      ]
        .flatMap((value) => [value, `\`\`\`json\n${value}\n\`\`\``].filter((from) => !from.startsWith("```json\nx")))
        .map((from) =>
          refuses(any, from, {
            expected: "a number that JavaScript can hold, or a text",
            offset: from.search(/-?\d{9}|1e|9\./)
          })
        ),
      reads(any, {
        "[9007199254740991, 9007199254740994, 1152921504606847000, 1e23, 9.007199254740994e15, 0.5e1, 100000000000000000000, \"9007199254740993\", 0.12345678901234567890]":
          [
            9007199254740991,
            9007199254740994,
            2 ** 60,
            1e23,
            9007199254740994,
            5,
            1e20,
            "9007199254740993",
            0.12345678901234568
          ]
      })
    ]))
})

describe("Output.text", () => {
  it.effect("reads the rest of the text", () =>
    Effect.all([
      reads(text, { "": "", "\na\n": "\na\n", "```": "```" }),
      reads(sequence([tag("a"), text]), { "x<a>1</a>\n2 <a>3</a>": ["1", "\n2 <a>3</a>"], "<a>1</a>": ["1", ""] }),
      reads(repeat(sequence([tag("a"), text])), { "x<a>1</a> 2\n<a>3</a>4": [["1", " 2\n"], ["3", "4"]] })
    ]))
})

describe("Output.sequence", () => {
  it.effect("finds each part behind the part before it", () =>
    Effect.all([
      reads(sequence([]), { "x": [] }),
      reads(sequence([tag("a"), tag("b"), code()]), {
        "<b>0</b>\n```\n0\n```\n<a>1</a>..<a>2</a><b>\n3\n</b>\n```\n4\n```": ["1", "3", "4"]
      }),
      refuses(sequence([tag("a"), tag("b")]), "<b>1</b>\n<a>2</a>", {
        expected: "<b>",
        offset: 17,
        line: 2,
        path: [1]
      }),
      // A fence begins a line.
      refuses(sequence([tag("a"), code()]), "<a>1</a>```\n2\n```", { found: notClosed, offset: 14 })
    ]))
})

describe("Output.repeat", () => {
  it.effect("reads all items", () =>
    Effect.all([
      reads(repeat(tag("a")), { "": [], "<a>1</a>": ["1"], "<a>1</a>x<b>\n```\n<a>2</a>\n```\n<a>3</a>": ["1", "3"] }),
      reads(sequence([repeat(tag("a")), tag("b")]), { "<a>1</a><b>0</b><a>2</a><b>3</b>": [["1", "2"], "3"] }),
      reads(algorithms, {
        "<problem>0</problem>": ["0", []],
        "<problem>0</problem><algorithm>1</algorithm>\n```\n2\n```\n<algorithm>\n3\n</algorithm>\n```js\n4\n```": [
          "0",
          [["1", "2"], ["3", "4"]]
        ]
      })
    ]))

  it.effect("ends each item before the next item", () =>
    Effect.all([
      reads(repeat(sequence([tag("s"), repeat(tag("p"))])), {
        "<p>0</p><s>1</s><s>2</s><p>3</p><p>4</p><s>5</s><p>6</p>": [["1", []], ["2", ["3", "4"]], ["5", ["6"]]]
      }),
      reads(repeat(sequence([code({ language: "a" }), repeat(code())])), {
        "```a\n1\n```\n```b\n2\n```\n```a\n3\n```\n": [["1", ["2"]], ["3", []]]
      }),
      reads(repeat(sequence([tag("a"), tag("a")])), { "<a>1</a><a>2</a><a>3</a><a>4</a>": [["1", "2"], ["3", "4"]] }),
      reads(repeat(sequence([sequence([tag("a"), repeat(sequence([tag("b"), repeat(tag("c"))]))]), tag("d")])), {
        "<a>1</a><b>2</b><c>3</c><b>4</b><d>5</d><a>6</a><d>7</d>": [[["1", [["2", ["3"]], ["4", []]]], "5"], [
          ["6", []],
          "7"
        ]]
      })
    ]))

  it.effect("fails on an incomplete item", () =>
    Effect.all([
      refuses(algorithms, "<problem>0</problem><algorithm>1</algorithm> 2", {
        expected: "a code fence",
        found: nothing,
        offset: 44,
        path: [1, 0, 1]
      }),
      refuses(algorithms, "<problem>0</problem>\n<algorithm>1</algorithm>\n<algorithm>2</algorithm>\n```\n3\n```", {
        expected: "a code fence",
        found: "<algorithm> first, which begins the next item",
        offset: 46,
        line: 3,
        column: 1,
        path: [1, 0, 1]
      }),
      refuses(repeat(tag("a")), "<a>1</a><a>2", { expected: "</a>", offset: 11, path: [1] }),
      refuses(repeat(tag("a")), "<a>1</a>\n```\n<a>2</a>", { found: notClosed, offset: 9, path: [] }),
      refuses(repeat(json(Schema.Unknown)), "```json\n1\n```\n```json\n{\n```", { expected: "JSON", path: [1] })
    ]))

  it.effect("reads JSON from fences or from the rest of the text", () =>
    reads(repeat(json(Schema.Unknown)), {
      "": [],
      "x": [],
      "1": [1],
      "```json\n1\n```\nx\n```json\n2\n```\ny": [1, 2],
      "```json\n1\n```\n2\n": [1, 2]
    }))

  it("throws InvalidInput for an item without a recognizable beginning", () => {
    const any = repeat as (item: unknown) => unknown
    for (const item of [text, repeat(tag("a")), sequence([]), sequence([text, tag("a")])]) {
      assert.throws(() => any(item), InvalidInput.InvalidInput, /Output\.repeat/)
    }
  })
})

describe("OutputError", () => {
  it.effect("has the place, the part, the expected spec and the text found", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        parse(sequence([tag("a"), tag("b")]))(`${"x\n".repeat(9)}<a>0123456789\n</a>? ${"y".repeat(99)}`)
      )
      assert.strictEqual(
        error.message,
        `Line 11, column 5, part 1: expected <b>, and found none from here on. The text there: ` +
          `…"x\\n<a>0123456789\\n</a>? ${"y".repeat(38)}"…`
      )
      assert.strictEqual(JSON.parse(JSON.stringify(error)).message, error.message)
    }))

  it.effect("counts lines by line feeds", () =>
    Effect.all([
      refuses(sequence([tag("a"), tag("b")]), "\n\n<a></a>", { line: 3, column: 8, offset: 9 }),
      refuses(sequence([tag("a"), tag("b")]), "<a>\n</a>\n", { line: 2, column: 5, offset: 8 }),
      refuses(tag("b"), "\ud800\n", { line: 1, column: 1, excerpt: "\"\ufffd\\n\"" })
    ]))
})

describe("Output.render", () => {
  it.effect("writes tags on their own lines, and fences longer than those inside", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* render(algorithms)(["0", [["1", "2"], ["3\n4", "```\n5\n```"]]]),
        "<problem>\n0\n</problem>\n<algorithm>\n1\n</algorithm>\n```\n2\n```\n" +
          "<algorithm>\n3\n4\n</algorithm>\n````\n```\n5\n```\n````\n"
      )
      assert.strictEqual(
        yield* render(repeat(sequence([tag("a"), text])))([["1", "2"], ["3", "4\n"]]),
        "<a>\n1\n</a>2<a>\n3\n</a>4\n"
      )
      assert.strictEqual(yield* render(code({ language: "Py" }))("a"), "```py\na\n```\n")
      assert.strictEqual(
        yield* render(json(Schema.Struct({ a: Schema.Date })))({ a: new Date(0) }),
        [
          "```json",
          "{",
          "  \"a\": \"1970-01-01T00:00:00.000Z\"",
          "}",
          "```",
          ""
        ].join("\n")
      )
    }))

  it.effect("fails if parse would read another value", () =>
    Effect.gen(function*() {
      const refused = <A>(spec: Output.Spec<A>, value: NoInfer<A>, path: ReadonlyArray<number>) =>
        Effect.map(Effect.flip(render(spec)(value)), (error) => {
          assert.instanceOf(error, Output.OutputRenderError)
          assert.deepStrictEqual(error.path, path)
          assert.strictEqual(JSON.parse(JSON.stringify(error)).message, error.message)
        })
      yield* refused(tag("a"), "x</a>y", [])
      yield* refused(sequence([tag("a"), tag("b")]), ["1", "</b>"], [1])
      yield* refused(sequence([tag("a"), code()]), ["```", "1"], [0])
      yield* refused(sequence([repeat(tag("a")), tag("a")]), [["1"], "2"], [1])
      yield* refused(repeat(sequence([tag("a"), text])), [["1", "<a>2</a>"]], [0, 1])
      yield* refused(sequence([text, code()]), ["1", "2"], [1])
      yield* refused(repeat(sequence([tag("a"), json(Schema.Int)])), [["1", 1.5]], [0, 1])
      assert.isTrue(Schema.isSchemaError((yield* Effect.flip(render(json(Schema.Int))(1.5))).cause))
    }))

  it.effect("fails on a value that its schema cannot encode, and dies of a bug in the schema", () =>
    Effect.gen(function*() {
      const isRefused = <A>(schema: Schema.Codec<A>, value: NoInfer<A>) =>
        Effect.map(
          Effect.flip(render(json(schema))(value)),
          (error) => assert.instanceOf(error, Output.OutputRenderError)
        )
      yield* isRefused(Schema.NullishOr(Schema.String), undefined)
      yield* isRefused(Schema.Array(Schema.Union([Schema.String, Schema.Number])), [NaN])
      for (const value of [Infinity, undefined, 1n, { a: undefined }]) yield* isRefused(Schema.Any, value)
      let nested: Schema.Json = []
      for (let depth = 0; depth < 200_000; depth++) nested = [nested]
      yield* isRefused(Schema.Json, nested)
      yield* isRefused(Nested, nested as Nested)
      const spec = json(Schema.Struct({ a: Schema.UndefinedOr(Schema.Number), b: Schema.Number }))
      const value = { a: undefined, b: NaN }
      assert.deepStrictEqual(yield* Effect.flatMap(render(spec)(value), parse(spec)), value)
      const bug = Schema.String.check(Schema.makeFilter(() => {
        throw new TypeError("bug")
      }))
      assert.deepStrictEqual(yield* Effect.exit(render(json(bug))("a")), Exit.die(new TypeError("bug")))
    }))
})

const runs = { arbitrary: { runs: 500 } }

const pick = <A>(...all: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.map(
    Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: all.length - 1 }))),
    (i) => all[i]!
  )

const oneOf = <A>(...all: ReadonlyArray<Arbitrary.Arbitrary<A>>): Arbitrary.Arbitrary<A> =>
  Arbitrary.flatMap(pick(...all), (one) => one)

type AnySpec = Output.Spec<any>

// Specs with many equal leaves.
const anyLeaf = pick<Output.Item<any>>(
  tag("a"),
  tag("b"),
  tag("a"),
  code(),
  code({ language: "js" }),
  json(Schema.Unknown),
  tag("a", json(Schema.Unknown)),
  tag("b", code()),
  tag("a", sequence([tag("b"), text])),
  tag("think")
)
const specOf = (depth: number): Arbitrary.Arbitrary<AnySpec> => {
  if (depth === 0) return oneOf<AnySpec>(anyLeaf, anyLeaf, pick<AnySpec>(text))
  const parts = Arbitrary.array(Arbitrary.flatMap(pick(0, depth - 1), specOf), { maxLength: 3 })
  const item = Arbitrary.map(
    Arbitrary.all([anyLeaf, parts]),
    ([head, parts]) => sequence([head, ...parts]) as unknown as Output.Item<any>
  )
  return oneOf<AnySpec>(
    anyLeaf,
    Arbitrary.map(parts, (parts) => sequence(parts) as AnySpec),
    Arbitrary.map(oneOf<Output.Item<any>>(anyLeaf, item), (item) => repeat(item) as AnySpec)
  )
}
const anySpec = specOf(3)

// Texts of tokens that matter to the grammar.
const anyText = Arbitrary.map(
  Arbitrary.array(
    pick(
      "<a>",
      "</a>",
      "<a>",
      "</a>",
      "<b>",
      "</b>",
      "\n```\n",
      "```",
      "\n",
      "```js\n",
      "````",
      "~~~",
      "x",
      " ",
      "<",
      "`",
      "`",
      "\n",
      "\n\n",
      "<think>",
      "</think>",
      "\n</think>\n",
      " and ",
      " tags",
      "```javascript\n",
      "```json\n",
      "```md\n",
      "{\"x\":1}",
      "[1]",
      "9007199254740993",
      "{",
      "}",
      "[",
      "]",
      "\"",
      ",",
      ":"
    ),
    { maxLength: 40 }
  ),
  (tokens) => tokens.join("")
)

const nodeOf = (spec: AnySpec) => spec as unknown as Node

const valueOf = (node: Node, texts: Arbitrary.Arbitrary<string>): Arbitrary.Arbitrary<unknown> => {
  if (node._tag === "Sequence") return Arbitrary.all(node.parts.map((part) => valueOf(part, texts)))
  if (node._tag === "Repeat") return Arbitrary.array(valueOf(node.item, texts), { maxLength: 3 })
  if (node._tag === "Tag" && node.content !== undefined) return valueOf(node.content, texts)
  return texts
}

// All leaves differ, so that every value of plain texts can be rendered.
const distinctSpec = (name: string, depth: number): Arbitrary.Arbitrary<AnySpec> => {
  const leaf = pick<Output.Item<any>>(tag(name), code({ language: name }))
  if (depth === 0) return Arbitrary.map(leaf, (leaf) => leaf)
  const parts = oneOf(
    ...[0, 1, 2, 3].map((n) =>
      Arbitrary.all(Array.from({ length: n }, (_, i) => distinctSpec(`${name}${i}`, depth - 1)))
    )
  )
  return oneOf<AnySpec>(
    leaf,
    Arbitrary.map(parts, (parts) => sequence(parts)),
    Arbitrary.map(
      Arbitrary.all([leaf, parts]),
      ([head, parts]) => repeat(sequence([head, ...parts]) as unknown as Output.Item<any>)
    )
  )
}

const plainText = Arbitrary.map(
  Arbitrary.array(pick("a", "\n", "\r", " ", "<", ">", "</", "`", "\ud800", "é", "1"), { maxLength: 12 }),
  (characters) => characters.join("").replaceAll("```", "`")
)

const withValue = (specs: Arbitrary.Arbitrary<AnySpec>, texts: Arbitrary.Arbitrary<string>) =>
  Arbitrary.flatMap(specs, (spec) => Arbitrary.map(valueOf(nodeOf(spec), texts), (value) => ({ spec, value })))

describe("Output.parse, for any spec and text,", () => {
  it.effect.prop("reads back every rendered value of distinct parts", {
    of: withValue(distinctSpec("t", 3), plainText)
  }, ({ of: { spec, value } }) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* parse(spec)(yield* render(spec)(value)), value)
    }), runs)

  it.effect.prop("reads back every value that render accepts", {
    of: withValue(anySpec, anyText)
  }, ({ of: { spec, value } }) =>
    Effect.gen(function*() {
      const rendered = yield* Effect.result(render(spec)(value))
      if (Result.isFailure(rendered)) return assert.instanceOf(rendered.failure, Output.OutputRenderError)
      assert.deepStrictEqual(yield* parse(spec)(rendered.success), value)
    }), runs)

  it.effect.prop("reads back code of any text", { any: anyText }, ({ any }) =>
    Effect.gen(function*() {
      // A line of code that is only the closing tag of reasoning ends reasoning.
      const text = any.replaceAll("</think>", "")
      const spec = repeat(sequence([code({ language: "js" }), code()]))
      const value: Array<[string, string]> = [[text, `${text}\n`], [`\r${text}`, `${text}\r`]]
      assert.deepStrictEqual(yield* parse(spec)(yield* render(spec)(value)), value)
    }), runs)

  it.effect.prop("reads the same value as a slow reference reader", {
    spec: anySpec,
    text: anyText
  }, ({ spec, text }) =>
    Effect.gen(function*() {
      const expected = readSlowly(nodeOf(spec), text)
      const read = yield* Effect.result(parse(spec)(text))
      assert.deepStrictEqual(
        Result.isFailure(read) ? { path: read.failure.path } : { value: read.success },
        expected
      )
    }), { arbitrary: { runs: 3000 } })

  it.effect.prop("reads the text or fails at a line and column of it", {
    spec: anySpec,
    text: Schema.String
  }, ({ spec, text }) =>
    Effect.gen(function*() {
      const error = yield* Effect.result(parse(spec)(text))
      if (Result.isSuccess(error)) return
      const { column, line, offset } = error.failure
      assert.isAtMost(offset, text.length)
      const lines = text.slice(0, offset).split("\n")
      assert.deepStrictEqual([line, column], [lines.length, lines.at(-1)!.length + 1])
    }), runs)
})

it.effect("Output loads effect/Schema only for programs with a schema", () =>
  Effect.map(runScript("loadsNoSchema.ts"), (output) => assert.strictEqual(output, "[false,false,true]")))

it.effect("Output.parse takes time in proportion to the text, here of 200 kB", () => parseHugeTexts(200_000))
