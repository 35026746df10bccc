/** @since 0.1.0 */
export * as SharedStore from "./SharedStore.js"
