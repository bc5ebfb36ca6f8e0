"""How charts look: colours that colour-blind readers tell apart, on a light or a dark page."""

from typing import Any

#: After Okabe and Ito (2008), distinct under the common colour deficiencies; each darkened until it stands out
#: 3:1 from white as well as from a dark page. Dashes and shapes repeat what colour says.
PALETTE = ("#0072b2", "#d55e00", "#00916a", "#b8609a", "#9c7a00", "#3a93cc", "#7d6bc4", "#7a7f87")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 2], [1, 3], [10, 4], [6, 2, 1, 2, 1, 2])
#: A grey that reads 4:1 on white and on a dark page alike; the HTML report sets its own ink over it.
INK = "#757a82"
#: The same where the page is white for certain, as that of a picture in a file.
PAPER_INK = "#3d434b"
#: Ends of the scale of a matrix, and the inks in which counts stand on them.
SHADES = ("#e9eff5", "#0b4f8a")
DARK_INK, LIGHT_INK = "#1d232b", "#ffffff"
#: A browser measures its own letters; a still is laid out elsewhere, so its font is one whose widths are known.
LIVE_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
STILL_FONT = "Arial, 'Liberation Sans', Helvetica, sans-serif"


def config(font: str) -> dict[str, Any]:
    """The Vega-Lite configuration of every chart."""
    words = {"labelColor": INK, "titleColor": INK, "labelFont": font, "titleFont": font}
    return {
        "background": "transparent",
        "font": font,
        "view": {"stroke": None},
        # Half of the last label of an axis lies beyond its end.
        "padding": {"left": 4, "top": 4, "right": 18, "bottom": 4},
        # The chart has a description and its numbers a table: a label on each of 300 dots helps nobody.
        "mark": {"aria": False},
        "axis": {
            **words,
            "domainColor": INK,
            "tickColor": INK,
            "gridColor": INK,
            "gridOpacity": 0.22,
            "labelFontSize": 11,
            "titleFontSize": 11.5,
            "titleFontWeight": 500,
            "titlePadding": 8,
            "labelLimit": 150,
            "labelOverlap": True,
        },
        "legend": {
            **words,
            "orient": "top",
            "labelFontSize": 11,
            "titleFontSize": 11,
            "labelLimit": 420,
            "symbolOpacity": 1,
        },
        "title": {
            "color": INK,
            "subtitleColor": INK,
            "font": font,
            "subtitleFont": font,
            "fontSize": 13,
            "subtitleFontSize": 11,
            "anchor": "start",
            "frame": "group",
            "offset": 12,
        },
    }
