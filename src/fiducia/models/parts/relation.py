"""SLPT's inherent-relation layers: landmarks ask each other, then the picture (Xia et al., CVPR 2022)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["InherentRelations"]


class InherentRelations(nn.Module):
    """From one patch token a landmark to one answer a landmark and layer.

    Args:
        num_points: K.
        width: d of the tokens.
        layers: L.
        heads: of the attentions.
        hidden: width of the feed-forward part.
        dropout: after every attention and in the feed-forward part.
    """

    def __init__(
        self,
        num_points: int,
        width: int = 256,
        layers: int = 6,
        heads: int = 8,
        hidden: int = 1024,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.structure = nn.Parameter(torch.empty(1, num_points, width))
        self.query = nn.Parameter(torch.empty(1, num_points, width))
        self.layers = nn.ModuleList(_RelationLayer(width, heads, hidden, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for parameter in self.layers.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
        # Published: Xavier, which is 0.01 here. All landmarks then ask the same question for thousands of steps, since what
        # tells them apart is lost beside the layers' norms.
        nn.init.normal_(self.structure)
        nn.init.normal_(self.query)

    def forward(self, tokens: Tensor) -> list[Tensor]:
        """Patch tokens ``(B, K, d)`` → the normalised answer ``(B, K, d)`` of every layer."""
        # What the layers refine starts from nothing: all that is known is which landmark it is, and what its patch shows.
        state = torch.zeros_like(tokens)
        keys = tokens + self.structure
        answers = []
        for layer in self.layers:
            state = layer(state, self.query, keys, tokens)
            answers.append(self.norm(state))
        return answers


class _RelationLayer(nn.Module):
    """Self-attention among landmarks, cross-attention to the patches, feed-forward; norms come first."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.among = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.across = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.norm3 = nn.LayerNorm(width)
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """State ``(B, K, d)`` → the next; ``query (1, K, d)`` marks the landmarks, keys and values are the patches'."""
        y = self.norm1(x)
        asked = y + query
        x = x + self.dropout(self.among(asked, asked, y, need_weights=False)[0])
        asked = self.norm2(x) + query
        x = x + self.dropout(self.across(asked, keys, values, need_weights=False)[0])
        return x + self.dropout(self.narrow(self.dropout(F.relu(self.widen(self.norm3(x))))))
