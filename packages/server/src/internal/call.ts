import type { Json } from "@llm-cache/core/Identity"
import type { JsonObject } from "@llm-cache/core/Sample"
import * as Result from "effect/Result"
import { BadRequest, type Call, type NormalForm, Uncacheable } from "../Protocol.ts"
import { asObjects, canonicalJson, fieldsOf } from "./json.ts"

/** The most samples of one request. */
const mostSamples = 1000

export const bad = (description: string) => Result.fail(new BadRequest({ description }))

export const uncacheable = (description: string) => Result.fail(new Uncacheable({ description }))

/** A key without its temperature, which all protocols have alike. */
export type Form = Omit<NormalForm, "temperature">

/** Why a request has no form. */
export type Refused = BadRequest | Uncacheable

/** Keys that some gateways take in the body. */
const secretFields = ["access_token", "api-key", "api_key", "apikey", "authorization"]

/** Lists that programs send empty if they have none. */
const optionalLists = ["functions", "include", "mcp_servers", "tools"]

/** The fields of a request that its identity has, without some names. */
export const parametersOf = (body: JsonObject, ...without: ReadonlyArray<string>): Record<string, Json> => {
  const parameters = fieldsOf(body, "model", "temperature", ...secretFields, ...without)
  for (const name of optionalLists) {
    const list = parameters[name]
    if (Array.isArray(list) && list.length === 0) delete parameters[name]
  }
  if (parameters["logprobs"] === false) delete parameters["logprobs"]
  return parameters
}

/** The messages of a request. */
export const readMessages = ({ messages }: JsonObject): Result.Result<ReadonlyArray<JsonObject>, BadRequest> => {
  const objects = asObjects(messages) ?? []
  return objects.length > 0
    ? Result.succeed(objects)
    : bad("`messages` is no list of messages: give at least one, such as `{\"role\": \"user\", \"content\": \"…\"}`")
}

/** The form of a request that is keyed by the JSON of its field `name`. */
export const wholeForm = (
  protocol: string,
  name: string,
  value: Json,
  parameters: JsonObject
): Result.Result<Form, BadRequest> => {
  const prompt = canonicalJson(value)
  return prompt === undefined
    ? bad(`\`${name}\` has a lone surrogate: give well-formed Unicode`)
    : Result.succeed({ prompt, parameters: { ...parameters, "llm-cache": protocol } })
}

/** The call of a request with a form: it checks the fields that every request has. */
export const readCall = <E extends Refused>(
  body: JsonObject,
  { hasCount }: { readonly hasCount: boolean },
  form: Result.Result<Form, E>
): Result.Result<Call, E | Refused> => {
  const model = body["model"] ?? undefined
  const n = body["n"] ?? 1
  const temperature = body["temperature"] ?? undefined
  if (Result.isFailure(form)) return Result.fail(form.failure)
  if (typeof n !== "number" || !Number.isInteger(n) || n < 1 || n > mostSamples) {
    return bad(`\`n\` is ${JSON.stringify(n)}: give a whole number from 1 to ${mostSamples}`)
  }
  if (n > 1 && !hasCount) return bad("`n` is no field of this API: send a request for each sample")
  if (temperature !== undefined && typeof temperature !== "number") {
    return bad("`temperature` is no number: give one, or leave it out")
  }
  if ("llm-cache" in body) return bad("`llm-cache` is a field of the cache: leave it out")
  if (model === undefined) return uncacheable("`model` is missing, and the cache has samples by models")
  if (typeof model !== "string" || model === "") return bad("`model` is no name: name the model")
  return Result.succeed({ body, model, n, isStreamed: body["stream"] === true, form: { ...form.success, temperature } })
}
