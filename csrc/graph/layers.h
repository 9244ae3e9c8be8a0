#pragma once

#include "detail.h"

#include <natgrad/linalg/parameters.h>
#include <torch/csrc/autograd/edge.h>
#include <torch/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph/census.h"
#include "libtorch/fused_lstm.h"
#include "libtorch/lookups.h"
#include "libtorch/nodes.h"

namespace natgrad::detail {

/// An op of the network that is linear in parameters of its own, s = W a + b at each of its rows
/// (examples, time steps) and positions (pixels), as the graph tells it: of any module, or of none.
///
/// With δ = ∂h/∂s, ∂h/∂W = Σ δ aᵀ and ∂h/∂b = Σ δ over rows and positions; see layer_factors.h.
struct Layer {
  enum class Kind {
    Linear,       ///< mm, addmm, and within a fused LSTM: a is [M, in] and s is [M, out]
    Convolution,  ///< of any dimension, transposed or not: a and s are [M, channels, ...]
    Bias,         ///< an addition that broadcasts a parameter along dimension 0 of s
    Scale,        ///< a product alike, s = a ∘ b: the gains of a normalisation
    Embedding     ///< rows of W, or sums of such: embeddings, bags, selections; positions added
  };

  Kind kind = Kind::Linear;
  torch::autograd::Edge output;  ///< s: a backward pass that captures this edge brings δ
  std::optional<size_t> weight;  ///< which of the parameters; none if W is frozen
  std::optional<size_t> bias;
  int64_t rows = 0;   ///< M: how often the layer is applied, not counting positions
  int64_t batch = 0;  ///< length of dimension 0 of s, where nn::Linear has flattened [N, T, in]: N
  torch::Tensor input;              ///< a, without its graph, of what is linear in W, and of Scale
  bool is_by_channel = false;       ///< of Bias and Scale: b lies along dimension 1 of s
  bool is_input_by_output = false;  ///< of Linear: W is [in, out], s = a W; else s = a Wᵀ
  ConvolutionGeometry geometry;
  /// The LSTM whose gates s are, [T·N, 4H]; null for all other layers. `output` is the first result
  /// of the op, and δ follows from the gradients of all its results (layer_gradients.h).
  std::shared_ptr<const FusedLstm> lstm;
  Lookup lookup;  ///< of Embedding: which rows of W, seen as [V, numbers in a row of s]
};

struct Layers {
  std::vector<Layer> layers;
  /// By parameter: whether these layers are all that it takes part in below the roots, so that
  /// their share of its gradient is the whole. True for one that takes no part.
  std::vector<bool> covers;
  /// The share of the parameters, by their numbers, that they cover.
  double coverage = 1;
  /// The names of the nodes at which parameters are lost that are not covered.
  std::vector<std::string> unread;
};

/// The layers that the walk met. A weight may be transposed or cast on its way (t(), autocast) and
/// be used by many layers (tied weights, a recurrent net); a bias that is added to a linear layer's
/// result belongs to that layer. A normalisation (layer, group, batch by running statistics) is two
/// layers, Scale and Bias. A parameter that meets any other op (weight normalisation, a part of a
/// tensor that is multiplied) is not covered, and has no layers.
///
/// Reports the coverage (degradations.h). Throws `c10::Error` if the graph has been freed or
/// activations were changed in place.
Layers find_layers(const Census& census, const ParameterLayout& parameters);

}  // namespace natgrad::detail
