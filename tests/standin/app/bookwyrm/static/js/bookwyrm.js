// Says in the page whether the theme's font may be loaded.
document.fonts.load('1em "Standin"').then(
  () => { document.documentElement.dataset.font = "loaded"; },
  () => { document.documentElement.dataset.font = "blocked"; },
);
