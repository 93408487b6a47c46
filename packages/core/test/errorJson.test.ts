import { assert, it } from "@effect/vitest"
import { Attempt, InvalidInput, Output, SampleError } from "@llm-cache/core"

const refused = new Output.OutputRefused({ reason: "too short" })
const rejected = new Output.OutputRejected({ sample: "4", error: refused })

const errors = {
  AttemptsExhausted: new Attempt.AttemptsExhausted({ errors: ["no number"] }),
  InvalidInput: new InvalidInput.InvalidInput({ module: "LlmModel.sampleMany", description: "`n` is negative" }),
  OutputRefused: refused,
  OutputRejected: rejected,
  OutputsExhausted: new Output.OutputsExhausted({ attempts: [rejected] }),
  ProviderError: SampleError.providerError("Timeout")
}

it.each(Object.entries(errors))("the JSON of %s has its tag, its fields and its message", (tag, error) => {
  const json = JSON.parse(JSON.stringify(error))
  assert.deepInclude(json, { _tag: tag, message: error.message })
  for (const field of Object.keys(error)) assert.property(json, field)
})
