/** Elements. Text only ever becomes text: nothing here parses HTML. */

type Child = Node | string | undefined

interface Attributes {
  readonly [name: string]: string | boolean | undefined
}

/** An element with attributes and children. An attribute that is `false` or `undefined` is left out. */
export const h = <Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: ReadonlyArray<Child>
): HTMLElementTagNameMap[Name] => {
  const element = document.createElement(name)
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(attribute, value === true ? "" : value)
  }
  for (const child of children) if (child !== undefined) element.append(child)
  return element
}

/** Writes a text, and nothing when it is there already. */
export const write = (element: Element, text: string): void => {
  if (element.textContent !== text) element.textContent = text
}

/** Sets a `data-` attribute, and nothing when it is there already. */
export const mark = (element: HTMLElement, name: string, value: string): void => {
  if (element.dataset[name] !== value) element.dataset[name] = value
}

/** Shows or hides. */
export const show = (element: HTMLElement, isShown: boolean): void => {
  if (element.hidden === isShown) element.hidden = !isShown
}

/** An element of the page by its id. */
export const byId = <E extends HTMLElement>(id: string, type: { new (): E }): E => {
  const element = document.getElementById(id)
  if (element instanceof type) return element
  throw new Error(`the page has no ${id}`)
}
