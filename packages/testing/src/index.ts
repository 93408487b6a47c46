/**
 * Tests for what is built on `@llm-cache/core`, to be run by Vitest.
 *
 * @since 0.1.0
 */
export * as ProcessTest from "./ProcessTest.ts"
export * as SampleStoreTest from "./SampleStoreTest.ts"
export * as TestModel from "./TestModel.ts"
