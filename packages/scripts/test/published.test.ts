import { assert, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { manifestOf, published, root } from "../published.ts"

const read = (file: string) => JSON.parse(Fs.readFileSync(Path.join(root, file), "utf8"))

it("changesets give all published packages one version", () => {
  assert.deepStrictEqual(read(".changeset/config.json").fixed, [published.map((folder) => manifestOf(folder).name)])
  assert.lengthOf(new Set(published.map((folder) => manifestOf(folder).version)), 1)
})

it("published packages have the metadata that a registry shows", () => {
  for (const folder of published) {
    const manifest = read(`${folder}/package.json`)
    assert.deepStrictEqual(manifest.repository, {
      type: "git",
      url: "git+https://github.com/llm-cache/llm-cache.git",
      directory: folder
    })
    for (const field of ["author", "bugs", "description", "homepage", "keywords", "license"]) {
      assert.property(manifest, field, folder)
    }
    assert.strictEqual(manifest.publishConfig.access, "public", folder)
  }
})

it("effect and core are peers, so that a program has one copy of each", () => {
  for (const folder of published) {
    const { dependencies = {}, peerDependencies } = read(`${folder}/package.json`)
    assert.property(peerDependencies, "effect", folder)
    if (folder !== "packages/core") assert.property(peerDependencies, "@llm-cache/core", folder)
    assert.notProperty(dependencies, "effect", folder)
    assert.notProperty(dependencies, "@llm-cache/core", folder)
  }
})
