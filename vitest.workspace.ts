import { defineConfig } from "vitest/config"

const project = (name: string, root: string) => ({ extends: true as const, test: { name, root } })

export default defineConfig({
  test: {
    include: ["**/*.test.ts"],
    allowOnly: false,
    // A machine may be busy with something else.
    testTimeout: 30_000,
    projects: [
      project("core", "packages/core"),
      project("providers", "packages/providers"),
      project("redis", "packages/redis"),
      project("sql", "packages/sql"),
      project("sqlite", "packages/sqlite"),
      project("testing", "packages/testing"),
      project("examples", "examples")
    ]
  }
})
