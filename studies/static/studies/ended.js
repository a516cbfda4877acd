/** The page of a session that has ended: this browser need not offer any more to go on with it. */

import { memory } from "./transport.js";

memory.remove(document.querySelector("[data-session-key]").dataset.sessionKey);
