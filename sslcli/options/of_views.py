"""The options that make augmented views, of pretraining and of their picture."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from sslcli.training.recipe import VIEWS

BY = ". Default: depends on the image size"
CropMinBySize = Annotated[
    float | None, Option(min=0.01, max=1, help=f"Smallest crop, as a fraction of the image's area{BY}.", rich_help_panel=VIEWS)
]
ViewSizes = Annotated[
    str,
    Option(
        help="Side of the views in pixels; or sides with fractions of training: 16:0.6,24:0.3,32:0.1.", rich_help_panel=VIEWS
    ),
]
Jitter = Annotated[float, Option(min=0, max=1, help="Probability of colour jitter.", rich_help_panel=VIEWS)]
Brightness = Annotated[float | None, Option(min=0, max=1, help=f"Strength of brightness jitter{BY}.", rich_help_panel=VIEWS)]
Contrast = Annotated[float | None, Option(min=0, max=1, help=f"Strength of contrast jitter{BY}.", rich_help_panel=VIEWS)]
Saturation = Annotated[float | None, Option(min=0, max=1, help=f"Strength of saturation jitter{BY}.", rich_help_panel=VIEWS)]
Hue = Annotated[
    float | None,
    Option(min=0, max=0.5, help=f"Strength of hue jitter, in turns of the colour circle{BY}.", rich_help_panel=VIEWS),
]
Grey = Annotated[float | None, Option(min=0, max=1, help=f"Probability of a greyscale view{BY}.", rich_help_panel=VIEWS)]
Blur = Annotated[float | None, Option(min=0, max=1, help=f"Probability of Gaussian blur{BY}.", rich_help_panel=VIEWS)]
