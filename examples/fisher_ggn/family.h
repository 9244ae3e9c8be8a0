#pragma once

#include <natgrad/likelihoods/likelihood.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fisher_ggn/quadrature.h"

namespace examples {

/// What theory says of a family's outputs z.
enum class Outputs {
  Natural,     ///< natural parameters, or affine in them: -∇²log r is F_R for every y
  NotNatural,  ///< -∇²log r depends on y, and is F_R on average only
  Kinked       ///< not even on average: log r has a kink
};

/// For families that take any z.
inline torch::Tensor any_number(const torch::Tensor& last_layer) { return last_layer; }

/// One output distribution r(y|z): a line of the table. It is told twice, by code that shares
/// nothing: by the library's likelihood, and by log r as a textbook has it with all its y.
struct Family {
  using Map = std::function<torch::Tensor(const torch::Tensor&)>;
  using OfTargets = std::function<torch::Tensor(const torch::Tensor& z, const torch::Tensor& y)>;
  using Make = std::function<std::shared_ptr<const natgrad::Likelihood>(const torch::Tensor& z)>;

  std::string name;        ///< the likelihood's in the library
  std::string parameters;  ///< what z is
  Outputs outputs;
  int64_t width;  ///< how many numbers the network's last layer puts out
  /// For routes (a) and (b): natgrad's.
  Make likelihood;
  /// For routes (c) and (d): log r(y|z) of each example, [N], and all of its y.
  OfTargets log_r;
  std::function<Support(const torch::Tensor& z)> support;
  /// z from the last layer, where z has to have a sign, or a sum over y would be long: part of the
  /// network.
  Map domain = any_number;
  /// h = (1/N) Σ -log r(yₙ|zₙ) up to a constant, where LibTorch has a loss for it; else `nll`.
  OfTargets torch_loss = nullptr;

  /// h as a user of natgrad writes it.
  torch::Tensor loss(const torch::Tensor& z, const torch::Tensor& y) const;
  /// Targets of N examples that a network knows nothing of: drawn at other z.
  torch::Tensor observed_targets(int64_t examples, torch::ScalarType dtype) const;
};

/// All families of the library and two of a user's own, some of them with several parameters.
const std::vector<Family>& families();
/// Throws `c10::Error` if there is none of this name.
const Family& family_named(const std::string& name);

}  // namespace examples
