#pragma once

#include <natgrad/export.h>
#include <natgrad/linalg/random.h>
#include <torch/arg.h>

namespace torch::nn {
class Module;
}

namespace natgrad {

/// How `sparse_initialisation` starts a network; the defaults are those for logistic units.
struct NATGRAD_EXPORT SparseInitialisation {
  /// Nonzero weights into each unit, at least 1; a unit with fewer inputs has one for each.
  TORCH_ARG(int64_t, connections) = 15;
  /// Standard deviation of a nonzero weight, finite and above 0.
  TORCH_ARG(double, scale) = 1;
  /// Every bias, finite.
  TORCH_ARG(double, bias) = 0;
};

/// Martens' sparse initialisation (2010, section 5): each unit of a linear layer, and each output
/// channel of a convolution, gets 15 nonzero incoming weights, drawn from N(0, 1) at inputs chosen
/// at random, and the bias 0. However wide the layer below is, units then start neither saturated
/// nor all alike. For tanh units, which are logistic ones rescaled: `scale(0.25).bias(0.5)`
/// (Sutskever, Martens, Dahl & Hinton 2013, section 3.1).
///
/// ```cpp
/// natgrad::sparse_initialisation(*model, natgrad::make_generator(seed));
/// ```
///
/// Sets, in place, the weights and biases of every `Linear`, `Conv1d`, `Conv2d` and `Conv3d` in the
/// module and its children, and nothing else. Drawn on the CPU in double, so that a seed means the
/// same in every dtype and on every device.
///
/// Throws `c10::Error` for options out of range, and if there is no such layer.
NATGRAD_EXPORT void sparse_initialisation(torch::nn::Module& module, at::Generator generator,
                                          const SparseInitialisation& options = {});

}  // namespace natgrad
