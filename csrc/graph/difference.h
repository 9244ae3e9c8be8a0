#pragma once

#include "detail.h"

#include "graph/term_readers.h"

#include <functional>

namespace natgrad::detail {

/// A loss ℓ(z - y) that LibTorch computes in one node with two arguments, either of which may be
/// the network's outputs, or both.
struct DifferenceLoss {
  std::string name;
  torch::Tensor self, target;  ///< the arguments
  int64_t reduction;
  double factor;  ///< s of one pair of elements, if the node's result is their sum
  /// r(·|z).
  std::function<std::shared_ptr<const Likelihood>(const torch::Tensor& z)> likelihood;
  /// The node's result for arguments d and 0.
  std::function<torch::Tensor(const torch::Tensor& d, const torch::Tensor& zero)> loss;
};

/// ∂loss/∂(one element), for a node that sums elements or averages them.
inline torch::Tensor per_element(const torch::Tensor& coefficient, int64_t reduction,
                                 const torch::Tensor& elements) {
  return reduction == at::Reduction::Mean ? coefficient / elements.numel() : coefficient;
}

/// Throws `c10::Error` if the arguments were broadcast against each other.
TermReading read_difference(torch::autograd::Node& node, const torch::Tensor& coefficient,
                            const DifferenceLoss& loss);

}  // namespace natgrad::detail
