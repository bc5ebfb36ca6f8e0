(() => {
  "use strict";
  const specs = JSON.parse(document.getElementById("chart-specs").textContent);
  const options = {
    mode: "vega-lite",
    renderer: "svg",
    actions: false,
    // Expressions are interpreted: the page's policy allows no code made from text.
    ast: true,
    tooltip: { theme: "custom" },
  };

  // One after the other, so that the page stays answerable; a chart that fails keeps its still.
  const drawAll = async () => {
    for (const figure of document.querySelectorAll("figure[data-chart]")) {
      const target = figure.querySelector(".live");
      try {
        await window.vegaEmbed(target, specs[figure.dataset.chart], options);
        figure.classList.add("is-live");
      } catch (error) {
        target.remove();
      }
    }
  };

  // On paper nothing can be unfolded.
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((part) => { part.open = true; });
  });
  window.addEventListener("afterprint", () => {
    folded.forEach((part) => { part.open = false; });
  });

  drawAll();
})();
