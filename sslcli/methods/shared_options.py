"""Options that several methods have in common: bounds and help, said once. Each method has its own default."""

from __future__ import annotations

from typing import Annotated

from typer import Option

ProjectorHidden = Annotated[int, Option(min=1, help="Width of the projector's hidden layer.")]
ProjectorHiddenTwo = Annotated[int, Option(min=1, help="Width of the projector's two hidden layers.")]
ProjectorDim = Annotated[int, Option(min=1, help="Length of the projection z.")]
SeveralDims = Annotated[int, Option(min=2, help="Length of the projection z.")]
"""For losses that compare the dimensions of z. The papers have 8192, which is slow on two cores: with Muon and resnet9-small a
step of 128 images of 16 pixels took 0.24 s (Barlow Twins) or 0.22 s (VICReg) of one core (class bf16) with z and hidden layers
1024 wide, and 0.12 s with 512. The effect on accuracy was not measured."""
PredictorHidden = Annotated[int, Option(min=1, help="Width of the predictor's hidden layer.")]
Temperature = Annotated[float, Option(min=1e-3, help="Temperature of the loss.")]
PairedViews = Annotated[int, Option(min=2, max=8, help="Views of each image; the loss is the mean over their pairs.")]
SmallViews = Annotated[int, Option(min=0, max=16, help="More views of half the side, compared with the large ones.")]
RisingMomentum = Annotated[float, Option(min=0, max=1, help="Teacher momentum (EMA) at first; it rises to 1.")]
