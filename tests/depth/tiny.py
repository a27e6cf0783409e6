"""Tiny random depth models of the true classes, built and saved where a test wants them. Nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

FOV_DEG = 60.0
_VIT: dict[str, Any] = dict(
    hidden_size=16,
    num_hidden_layers=4,
    num_attention_heads=2,
    intermediate_size=32,
    image_size=64,
    patch_size=16,
)
"""The shape of those that look at a square picture in patches of 16."""


def saved(model: Any, processor: Any, folder: Path) -> Path:
    """Save a model as its authors would."""
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def dinov2(patch: int = 14, **more: Any) -> Any:
    from transformers import Dinov2Config

    return Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=2 * patch,
        patch_size=patch,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
        **more,
    )


def depth_anything(folder: Path, metric: bool = False, max_depth: int = 20, level: float = 0.5) -> Path:
    """Of Depth Anything's kind; ``level`` is added to what it says, which would else be cut off at 0 half the time."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, DPTImageProcessorPil

    torch.manual_seed(0)
    config = DepthAnythingConfig(
        backbone_config=dinov2(),
        patch_size=14,
        reassemble_hidden_size=16,
        reassemble_factors=[4, 2, 1, 0.5],
        neck_hidden_sizes=[4, 4, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
        initializer_range=0.2,
        depth_estimation_type="metric" if metric else "relative",
        max_depth=max_depth if metric else 1,
    )
    model = DepthAnythingForDepthEstimation(config)
    torch.nn.init.constant_(model.head.conv3.bias, level)
    size = dict(height=56, width=56)
    return saved(model, DPTImageProcessorPil(size=size, keep_aspect_ratio=True, ensure_multiple_of=14), folder)


def dpt(folder: Path, on_dinov2: bool = False) -> Path:
    """Of DPT's kind: as Intel's, or as those on DINOv2, which see pictures at their own size, padded."""
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessorPil

    torch.manual_seed(0)
    shape: dict[str, Any] = dict(
        neck_hidden_sizes=[4, 4, 8, 8],
        fusion_hidden_size=256 if on_dinov2 else 8,  # The layer that makes the difference has 256 channels, always.
        reassemble_factors=[4, 2, 1, 0.5],
        initializer_range=0.2,
        use_bias_in_fusion_residual=False,
    )
    if on_dinov2:
        config = DPTConfig(backbone_config=dinov2(apply_layernorm=False), add_projection=True, **shape)
        processor = DPTImageProcessorPil(do_resize=False, do_pad=True, size_divisor=14)
    else:
        config = DPTConfig(
            **_VIT,
            backbone_out_indices=[0, 1, 2, 3],
            is_hybrid=False,
            **shape,
        )
        processor = DPTImageProcessorPil(size=dict(height=64, width=64))
    model = DPTForDepthEstimation(config)
    torch.nn.init.constant_(model.head.head[4].bias, 0.5)
    return saved(model, processor, folder)


def zoedepth(folder: Path) -> Path:
    """Of ZoeDepth's kind."""
    from transformers import BeitConfig, ZoeDepthConfig, ZoeDepthForDepthEstimation, ZoeDepthImageProcessorPil

    torch.manual_seed(0)
    backbone = BeitConfig(
        **_VIT,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
        use_relative_position_bias=True,
    )
    config = ZoeDepthConfig(
        backbone_config=backbone,
        backbone_hidden_size=16,
        neck_hidden_sizes=[4, 4, 8, 8],
        fusion_hidden_size=8,
        bottleneck_features=8,
        num_relative_features=32,
        bin_embedding_dim=8,
        bin_configurations=[dict(n_bins=4, min_depth=0.001, max_depth=10.0, name="nyu")],
        num_attractors=[4, 2, 2, 1],
    )
    model = ZoeDepthForDepthEstimation(config)
    return saved(model, ZoeDepthImageProcessorPil(size=dict(height=64, width=96), ensure_multiple_of=16), folder)


def glpn(folder: Path) -> Path:
    """Of GLPN's kind."""
    from transformers import GLPNConfig, GLPNForDepthEstimation, GLPNImageProcessorPil

    torch.manual_seed(0)
    config = GLPNConfig(
        hidden_sizes=[8, 8, 8, 8], num_attention_heads=[1, 1, 2, 2], depths=[1, 1, 1, 1], decoder_hidden_size=8
    )
    return saved(GLPNForDepthEstimation(config), GLPNImageProcessorPil(), folder)


def depth_pro(folder: Path, field_of_view: bool = True) -> Path:
    """Of Depth Pro's kind. Its processor cannot be made without torchvision, so what it would save is written."""
    import json

    from transformers import DepthProConfig, DepthProForDepthEstimation

    torch.manual_seed(0)
    inner = dict(model_type="dinov2", num_hidden_layers=2, hidden_size=16, num_attention_heads=1, patch_size=4)
    config = DepthProConfig(
        patch_size=16,
        fusion_hidden_size=16,
        intermediate_hook_ids=[1, 0],
        intermediate_feature_dims=[8, 8],
        scaled_images_ratios=[0.5, 1.0],
        scaled_images_overlap_ratios=[0.0, 0.2],
        scaled_images_feature_dims=[8, 8],
        initializer_range=0.2,
        use_fov_model=field_of_view,
        image_model_config=dict(inner),
        patch_model_config=dict(inner),
        fov_model_config=dict(inner),
    )
    model = DepthProForDepthEstimation(config)
    torch.nn.init.constant_(model.head.layers[-2].bias, 0.5)
    if field_of_view:
        torch.nn.init.zeros_(model.fov_model.head.layers[-1].weight)
        torch.nn.init.constant_(model.fov_model.head.layers[-1].bias, FOV_DEG)
    model.eval().save_pretrained(folder)
    told = dict(
        image_processor_type="DepthProImageProcessor",
        image_mean=0.5,  # One number for three colours, as in the published file.
        image_std=[0.5, 0.5, 0.5],
        rescale_factor=1 / 255,
        size=dict(height=64, width=64),
    )
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return folder
