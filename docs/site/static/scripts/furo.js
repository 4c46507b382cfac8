// In the place of furo's own program, which Debian 12 packs so that browsers refuse it. The button for the colours:
// those of the system, light, dark.
"use strict";
document.documentElement.classList.remove("no-js");
for (const button of document.getElementsByClassName("theme-toggle"))
    button.addEventListener("click", () => {
        const next = { auto: "light", light: "dark", dark: "auto" }[document.body.dataset.theme];
        document.body.dataset.theme = next;
        localStorage.setItem("theme", next);
    });
