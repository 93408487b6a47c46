/**
 * Scripted models, cassettes and test suites for `@llm-cache/core`.
 *
 * @since 0.1.0
 */
export * as Cassette from "./Cassette.ts"
export * as LlmModelTest from "./LlmModelTest.ts"
export * as Matchers from "./Matchers.ts"
export * as ModelLaws from "./ModelLaws.ts"
export * as NoRequests from "./NoRequests.ts"
export * as ProcessTest from "./ProcessTest.ts"
export * as ProgramTest from "./ProgramTest.ts"
export * as SampleStoreTest from "./SampleStoreTest.ts"
export * as TestModel from "./TestModel.ts"
