"use strict";
(function () {
  const figures = JSON.parse(document.getElementById("plot-data").textContent);
  const config = { responsive: true, displaylogo: false, showLink: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["sendChartToCloud", "sendDataToCloud", "lasso2d", "select2d"], toImageButtonOptions: { scale: 2 } };
  function draw(element) {
    if (element.dataset.drawn) return;
    element.dataset.drawn = "yes";
    const figure = figures[element.dataset.plot];
    Plotly.newPlot(element, figure.data, figure.layout, config).catch(function () {
      element.textContent = "This view needs WebGL, which this browser does not offer.";
    });
  }
  const elements = Array.from(document.querySelectorAll("[data-plot]"));
  const near = new IntersectionObserver(function (entries) {
    entries.forEach(function (entry) { if (entry.isIntersecting) draw(entry.target); });
  }, { rootMargin: "1200px" });
  elements.forEach(function (element) { near.observe(element); });
  window.addEventListener("beforeprint", function () { elements.forEach(draw); });

  const links = Array.from(document.querySelectorAll("nav a"));
  const seen = new IntersectionObserver(function (entries) {
    entries.forEach(function (entry) {
      if (!entry.isIntersecting) return;
      links.forEach(function (link) {
        link.classList.toggle("here", link.getAttribute("href") === "#" + entry.target.id);
      });
    });
  }, { rootMargin: "-20% 0px -70% 0px" });
  document.querySelectorAll("section[id]").forEach(function (section) { seen.observe(section); });
})();
