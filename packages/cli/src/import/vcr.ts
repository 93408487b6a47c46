import { Buffer } from "node:buffer"
import { httpItem } from "./http.ts"
import type { Item } from "./item.ts"
import { asArray, asNumber, asObject, asString } from "./json.ts"

/** The exchanges of a cassette of vcrpy, in YAML or JSON: https://vcrpy.readthedocs.io (`vcr/serialize.py`) */
export const vcrItems = (file: unknown): ReadonlyArray<Item> =>
  asArray(asObject(file)["interactions"]).map((value, i) => {
    const interaction = asObject(value)
    const [request, response] = [asObject(interaction["request"]), asObject(interaction["response"])]
    const status = response["status"]
    const body = bodyOf(request["body"])
    return httpItem({
      where: `interaction ${i + 1}`,
      url: asString(request["uri"]) ?? "",
      request: typeof body === "string" || body === undefined ? body : Buffer.from(body).toString("utf8"),
      status: asNumber(asObject(status)["code"]) ?? asNumber(response["status_code"]) ?? 0,
      answer: bodyOf(response["body"] ?? response["content"]),
      betas: headerOf("anthropic-beta", request["headers"]),
      encoding: headerOf("content-encoding", response["headers"])
    })
  })

// The text itself, or a mapping with it. YAML's `!!binary` is bytes.
const bodyOf = (body: unknown): string | Uint8Array<ArrayBuffer> | undefined => {
  if (body instanceof Uint8Array) return Uint8Array.from(body)
  if (typeof body === "string") return body
  const { base64_string, string } = asObject(body)
  if (typeof base64_string === "string") return Uint8Array.from(Buffer.from(base64_string, "base64"))
  return string === undefined || string === null ? undefined : bodyOf(string)
}

const headerOf = (header: string, headers: unknown): string | undefined => {
  const [, value] = Object.entries(asObject(headers)).find(([name]) => name.toLowerCase() === header) ?? []
  return Array.isArray(value) ? value.join() : asString(value)
}
