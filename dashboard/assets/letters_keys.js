// What the Dead letters page knows of its window: the keys that Streamlit's own shortcuts cannot be, whether the
// window is narrow, and that somebody went back to another address of the page. It draws nothing.
const NARROW = window.matchMedia("(max-width: 640px)")

const isTyping = (element) =>
  element instanceof Element && element.closest("input, textarea, select, [contenteditable=true]") !== null

const queryBox = () => document.querySelector('[class*="st-key-letters_query_"] input')

export default function ({ setStateValue, setTriggerValue }) {
  const tellWidth = () => setStateValue("narrow", NARROW.matches)
  const tellAddress = () => setTriggerValue("moved", Date.now())
  const press = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('[role="dialog"]')) return
    if (event.key === "Escape" && event.target === queryBox()) event.target.blur()
    if (isTyping(event.target)) return
    if (event.key === "/") queryBox()?.focus()
    else if (event.key === "?") document.querySelector(".st-key-letters_help button")?.click()
    else return
    event.preventDefault()
  }
  tellWidth()
  NARROW.addEventListener("change", tellWidth)
  // Streamlit listens to this too. It is told first where somebody went to, and then runs the page.
  window.addEventListener("popstate", tellAddress, true)
  document.addEventListener("keydown", press)
  return () => {
    NARROW.removeEventListener("change", tellWidth)
    window.removeEventListener("popstate", tellAddress, true)
    document.removeEventListener("keydown", press)
  }
}
