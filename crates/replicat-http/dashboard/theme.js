// Light or dark, before anything is drawn: a classic script in the head, so that a page that was set dark never flashes white.

(() => {
  const KEY = "replicat-theme";
  const CHOICES = ["auto", "light", "dark"];
  const read = () => {
    try {
      const kept = localStorage.getItem(KEY);
      return CHOICES.includes(kept) ? kept : "auto";
    } catch {
      return "auto";
    }
  };
  const apply = (choice) => {
    if (choice === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
  };
  window.replicatTheme = {
    choices: CHOICES,
    read,
    set(choice) {
      try {
        localStorage.setItem(KEY, choice);
      } catch {
        // A browser that keeps nothing still shows what was chosen.
      }
      apply(choice);
    },
  };
  apply(read());
})();
