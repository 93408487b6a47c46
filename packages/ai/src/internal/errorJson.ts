import * as Identity from "@llm-cache/core/Identity"
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as SampleError from "@llm-cache/core/SampleError"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

const Path = Schema.Array(Schema.String)

const ErrorJson = Schema.Union([
  Schema.TaggedStruct("InvalidInput", { message: Schema.String, module: Schema.String, description: Schema.String }),
  Schema.TaggedStruct("StoreError", {
    message: Schema.String,
    kind: Schema.Literals(["Damaged", "Unavailable", "InvalidName"]),
    store: Schema.String,
    operation: Schema.Literals(["open", "get", "put", "prepare", "positions", "remove", "keys", "lease"]),
    position: Schema.optionalKey(Schema.Finite),
    description: Schema.String
  }),
  Schema.TaggedStruct("ProviderError", {
    message: Schema.String,
    provider: Schema.String,
    path: Schema.optionalKey(Path),
    tries: Schema.optionalKey(Schema.Finite),
    elapsedMillis: Schema.optionalKey(Schema.Finite),
    reason: Schema.Struct({
      _tag: Schema.Literals([
        "BadKey",
        "BadRequest",
        "ContentPolicy",
        "ContextTooLong",
        "QuotaExhausted",
        "RateLimited",
        "RepeatedResponse",
        "ServerFault",
        "Timeout",
        "Transport",
        "UntrustedCertificate",
        "UnusableResponse"
      ]),
      description: Schema.String,
      status: Schema.optionalKey(Schema.Finite),
      retryAfterMillis: Schema.optionalKey(Schema.Finite)
    })
  }),
  Schema.TaggedStruct("ReplicationCacheMiss", {
    message: Schema.String,
    identityId: Schema.String,
    prompt: Schema.String,
    promptHash: Schema.String,
    path: Path,
    position: Schema.Finite,
    present: Schema.Array(Schema.Finite),
    store: Schema.String,
    nearest: Schema.optionalKey(Schema.Struct({ prompt: Schema.String, differsAt: Schema.Finite })),
    storedIds: Schema.optionalKey(Schema.Array(Schema.String)),
    explanation: Schema.optionalKey(Schema.String),
    advice: Schema.optionalKey(Schema.String)
  })
])

type ErrorJson = (typeof ErrorJson)["Type"]

/** The fields of an error for a program in another process. Whole prompts and causes are not for all to see. */
export const toJson = (error: SampleError.SampleError): ErrorJson => JSON.parse(JSON.stringify(fieldsOf(error)))

const fieldsOf = (error: SampleError.SampleError): object => {
  const { _tag, message } = error
  if (_tag === "InvalidInput") return { _tag, message, module: error.module, description: error.description }
  if (_tag === "StoreError") {
    const { description, kind, operation, position, store } = error
    return { _tag, message, kind, store, operation, position, description }
  }
  if (_tag === "ReplicationCacheMiss") {
    const storedIds = error.stored?.map(({ id }) => id)
    return Object.assign(error.toJSON(), { _tag, message, identityId: error.identity.id, storedIds })
  }
  const { elapsed, path, provider, reason, retryAfter, tries } = error
  return {
    _tag,
    message,
    provider,
    path,
    tries,
    elapsedMillis: millisOf(elapsed),
    reason: {
      _tag: reason._tag,
      description: reason.description,
      status: reason.status,
      retryAfterMillis: millisOf(retryAfter)
    }
  }
}

const millisOf = (duration: Duration.Duration | undefined): number | undefined =>
  duration !== undefined && Duration.isFinite(duration) ? Duration.toMillis(duration) : undefined

/** The error with these fields, `undefined` if they are those of no error. */
export const fromJson = (fields: unknown): SampleError.SampleError | undefined => {
  const json = Option.getOrUndefined(Schema.decodeUnknownOption(ErrorJson)(fields))
  const error = json === undefined ? undefined : errorOf(json)
  // The message of a miss shows where two prompts differ, which shortened prompts do not.
  return error && Object.defineProperty(error, "message", { value: json?.message, configurable: true })
}

const errorOf = (json: ErrorJson): SampleError.SampleError | undefined => {
  switch (json._tag) {
    case "InvalidInput":
      return new InvalidInput(json)
    case "StoreError":
      return new SampleError.StoreError(json)
    case "ProviderError": {
      const { elapsedMillis, path, provider, reason: { _tag, retryAfterMillis, ...fields }, tries } = json
      return new SampleError.ProviderError({
        provider,
        path,
        tries,
        elapsed: elapsedMillis === undefined ? undefined : Duration.millis(elapsedMillis),
        reason: SampleError.providerError(_tag, {
          ...fields,
          ...retryAfterMillis === undefined ? {} : { retryAfter: retryAfterMillis }
        }).reason
      })
    }
    case "ReplicationCacheMiss": {
      const { identityId, nearest, storedIds, ...fields } = json
      const identity = Identity.fromId(identityId)
      if (identity === undefined) return undefined
      const stored = storedIds?.map(Identity.fromId).filter((identity) => identity !== undefined)
      return new SampleError.ReplicationCacheMiss({ ...fields, identity, nearest, stored })
    }
  }
}
