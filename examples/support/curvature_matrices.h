#pragma once

#include <natgrad/graph/loss_graph.h>

#include <memory>
#include <string>
#include <vector>

#include "support/dataset.h"

namespace examples {

/// A small classifier 16-8-10 with tanh units, in double, on some handwritten digits: few enough
/// weights, P = 226, that every P x P matrix can be written down.
class SmallClassifier {
 public:
  SmallClassifier(const Batch& digits, int64_t examples, uint64_t seed);

  const std::vector<torch::Tensor>& parameters() const { return parameters_; }
  int64_t examples() const { return x_.size(0); }
  /// The mean cross-entropy of all examples, on a new graph.
  torch::Tensor loss() const;
  natgrad::LossGraph graph() const { return {loss(), parameters_}; }

 private:
  torch::Tensor x_, y_;
  std::vector<torch::Tensor> parameters_;
};

struct NamedMatrix {
  std::string name;
  torch::Tensor matrix;
};

/// All curvature matrices of the library for this loss, written down. The first is the Fisher
/// matrix.
std::vector<NamedMatrix> curvature_matrices(const natgrad::LossGraph& graph);

/// What is told of one matrix.
struct Spectrum {
  int64_t rank;      ///< eigenvalues above 1e-10 of the largest in size
  int64_t negative;  ///< of those, how many are negative
  double trace;
  torch::Tensor eigenvalues;  ///< descending
};
Spectrum spectrum_of(const torch::Tensor& symmetric);

/// -(C + λI)⁻¹ g with λ a thousandth of C's mean eigenvalue.
torch::Tensor damped_step(const torch::Tensor& matrix, const torch::Tensor& gradient);

}  // namespace examples
