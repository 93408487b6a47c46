/** Words of servers that decide the kind of a failure together with its status. */

const anyOf = (...patterns: ReadonlyArray<string>): RegExp => new RegExp(patterns.join("|"), "i")

// OpenAI, Anthropic, DeepSeek, OpenRouter, xAI, Together, Moonshot, Qwen, Mistral, and gateways built on One API.
const emptyAccount = anyOf(
  "insufficient[ _](user[ _]|account[ _])?(quota|balance|credits?|funds)",
  "(balance|credits?) (is |are )?(too low|insufficient|not enough|exhausted|depleted|negative)",
  "(requires|need) more credits",
  "(out of|no) credits",
  "all available credits",
  "(credit|spending|billing hard|billing_hard)[ _]limit",
  "exceeded[ _](your[ _])?current[ _]quota",
  "billing_error",
  "billing_not_active|not active.{0,40}billing",
  "payment required",
  "arrearage|overdue payment|in good standing",
  "quota[ _](is )?not[ _]enough",
  "余额不足|额度不足|欠费"
)

// Google says the same of a quota per minute as OpenAI of an empty account.
const rateLimitOfGoogle = anyOf("RESOURCE_EXHAUSTED", "googleapis", "ai\\.google\\.dev")

export const isEmptyAccount = (words: string): boolean => emptyAccount.test(words) && !rateLimitOfGoogle.test(words)

// OpenAI, Azure, GitHub Models, vLLM, SGLang, TGI, llama.cpp, Ollama, LM Studio, Fireworks, Groq, Anthropic, Gemini,
// DeepSeek, Qwen, OpenRouter, Mistral and xAI.
export const contextTooLong = anyOf(
  "context[ _](length|window|size|limit|overflow)",
  "(prompt|input|messages?) (is|are) too (long|large)",
  "too many (input |prompt )?tokens",
  "token count.{0,200}(exceed|only supports)",
  "maximum (prompt|input|model) length",
  "max_model_len",
  "range of input length",
  "string_above_max_length",
  "request_too_large",
  "tokens_limit_reached",
  "request (body )?(is )?too large",
  "inputs`? (must have less than|tokens \\+)",
  "reduce the length of",
  "must be reduced in order to run"
)

// nginx and other proxies, before the model sees the request.
export const bodyTooLarge = anyOf("(entity|payload|content|body) (is )?too large")

// A request that is larger than the limit of a minute, which no wait fixes. OpenAI.
export const neverWithinLimit = anyOf("must be reduced in order to run")

export const contentPolicy = anyOf(
  "content[ _-]?(filter|policy|management|moderation|violat)",
  "content exists risk",
  "considered high risk",
  "data_inspection_failed",
  "(inappropriate|prohibited|harmful|sensitive)[ _-]?content",
  "responsible ?ai ?policy",
  "requires moderation",
  "(usage|safety|acceptable use|moderation) (policy|policies|guidelines)",
  "safety[ _](system|check)",
  "blocked.{0,40}safety",
  "block_?reason",
  "flagged (as|for|by)",
  "敏感"
)

// Gemini, xAI and others, also with a 400.
export const badKey = anyOf(
  "api[ _-]?key (is )?(not valid|invalid|incorrect|expired|not found|missing)",
  "(incorrect|invalid|wrong|missing|expired|no|malformed) (x-)?api[ _-]?key",
  "(api_key_invalid|invalid_api_key|authentication_error|unauthenticated)",
  "provide an api key"
)

export const regionRefused = anyOf(
  "unsupported_country",
  "country, region,? or territory",
  "(location|country|region) is not supported",
  "not (available|supported) in your (country|region|location)"
)

/** The codes and messages of a certificate that cannot be checked: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
export const untrustedCertificate = anyOf(
  "cert",
  "self.signed",
  "UNABLE_TO_(VERIFY|GET_ISSUER|GET_CRL)",
  "HOSTNAME_MISMATCH"
)

/** No TLS with this server, mostly because it speaks plain HTTP. */
export const noTls = anyOf("WRONG_VERSION_NUMBER", "EPROTO")

/** An answer of a proxy to undici, in place of a tunnel. */
export const proxyAnswer = anyOf("proxy response \\(\\d+\\)")

export const proxyPassword = anyOf("proxy response \\(407\\)")
