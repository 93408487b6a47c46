import { defineConfig } from "vitest/config"

const project = (name: string, root: string) => ({ extends: true as const, test: { name, root } })

export default defineConfig({
  test: {
    include: ["**/*.test.ts"],
    allowOnly: false,
    projects: [
      project("core", "packages/core"),
      project("providers", "packages/providers"),
      project("examples", "examples")
    ]
  }
})
