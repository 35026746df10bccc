/** Text that can be encoded. Half a surrogate pair cannot, and becomes the character that stands for it. */
export const wellFormed = (text: string): string => text.replace(/\p{Surrogate}/gu, "\uFFFD")
