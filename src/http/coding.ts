import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from "node:zlib";

/**
 * A body without its content coding, or undefined when the coding is unknown, the bytes are broken or the result would be over
 * `limit` bytes.
 */
export function decodeBody(body: Uint8Array, coding: string | undefined, limit: number): Uint8Array | undefined {
  const options = { maxOutputLength: limit };
  try {
    switch (coding?.trim().toLowerCase()) {
      case undefined:
      case "":
      case "identity":
        return body;
      case "gzip":
      case "x-gzip":
        return gunzipSync(body, options);
      case "deflate":
        return inflateSync(body, options);
      case "br":
        return brotliDecompressSync(body, options);
      case "zstd":
        return zstdDecompressSync(body, options);
      default:
        return undefined;
    }
  } catch {
    return undefined;
  }
}
