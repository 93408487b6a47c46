/**
 * Models of XMCP, at `https://llm.xmcp.ltd`.
 *
 * @since 0.1.0
 */
import { vendor } from "./internal/vendor.ts"

const of = vendor({ name: "XMCP", id: "xmcp", baseUrl: "https://llm.xmcp.ltd", key: "XMCP_API_KEY" })

/**
 * Makes a model of XMCP. Fails with an `InvalidInput` for options that no request can be made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = of.make

/**
 * Provides a model of XMCP, with the key that configuration has as `XMCP_API_KEY`.
 *
 * **Details**
 *
 * An `n` is sent; where one sample comes back, the model asks for one at a time from then on, by up to `concurrency` requests
 * at once.
 * `options.apiKey` is taken instead where it is given. Everything else is as in `OpenAiCompatible`.
 *
 * **Example** (A model)
 *
 * ```ts
 * import { Xmcp } from "@llm-cache/providers"
 *
 * const model = Xmcp.layer({
 *   model: "ali/qwen2.5-7b-instruct",
 *   temperature: 1,
 *   alias: "qwen2.5-7b"
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = of.layer
