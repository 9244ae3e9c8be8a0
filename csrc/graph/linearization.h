#pragma once

#include "detail.h"

#include <natgrad/linalg/parameters.h>
#include <torch/csrc/autograd/edge.h>

#include <vector>

#include "graph/census.h"

namespace natgrad::detail {

/// The network f(x, θ) linearised at θ: products with its Jacobian J = ∂z/∂θ and with Jᵀ, on the
/// graph of one forward pass.
///
/// J v by double backward (Schraudolph 2002, in the form that autograd offers): g(u) = Jᵀu is built
/// once as a differentiable function of a dummy u; it is linear in u, so J v = ∂(g(u)·v)/∂u. The
/// dummy is random, since some ops give NaN at zero.
///
/// Cost: Jᵀu one backward pass; J v about one forward pass; building one differentiable backward
/// pass. Each J v is checked for free by u·(J v) = v·(Jᵀu): a mismatch means that some op's
/// backward is not differentiable, and throws, naming the op. On the CPU the check is immediate;
/// elsewhere it is read by `verify` and with every tenth product.
class Linearization {
 public:
  /// `network`: what lies below the edges of z; `generator`: draws the dummy.
  Linearization(const Census& network, ParameterLayout parameters, at::Generator generator);

  /// J v for v of [P]: one tensor per output.
  std::vector<torch::Tensor> multiply(const torch::Tensor& v) const;
  /// Jᵀu, [P]; an undefined u counts as zero.
  torch::Tensor multiply_transposed(const std::vector<torch::Tensor>& u) const;
  /// Throws if any product since the last call failed the check.
  void verify() const;

 private:
  void check_product(const torch::Tensor& v, const std::vector<torch::Tensor>& jv) const;
  void check_product_now(const torch::Tensor& v, const std::vector<torch::Tensor>& jv) const;
  void require_agreement(double u_jv, double jv_jv, double v_g, double v_v) const;

  torch::autograd::edge_list outputs_;
  ParameterLayout parameters_;
  torch::autograd::edge_list parameter_edges_;
  std::vector<torch::Tensor> dummy_;  // u
  torch::autograd::edge_list dummy_edges_;
  torch::autograd::edge_list pullback_;  // the edges of g(u), where it depends on u
  std::vector<size_t> reached_;          // the parameters they belong to
  torch::Tensor pulled_back_;            // g(u), flat
  double dummy_norm_ = 0, pulled_back_norm_ = 0;
  double tolerance_;  // of a product, relative
  // Rows (u·Jv, |Jv|², v·g(u), |v|²) of the products since the last `verify`, on the device.
  mutable std::vector<torch::Tensor> unverified_;
};

/// The name of the first op at or below `outputs` whose backward is not differentiable, by testing
/// each node's own u·(J v) = v·(Jᵀu); empty if every node passes.
std::string find_undifferentiable_op(const torch::autograd::edge_list& outputs);

/// Edges into the parameters, for `backward`; not valid for one that requires no gradient.
torch::autograd::edge_list edges_of(const std::vector<torch::Tensor>& parameters);

}  // namespace natgrad::detail
