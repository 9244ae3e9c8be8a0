#include "graph/linearization.h"
#include <natgrad/linalg/random.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "linalg/norm.h"
#include "linalg/vmap.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "graph/depth_first.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;
using torch::autograd::Edge;
using torch::autograd::edge_list;
using torch::autograd::Node;
using torch::autograd::variable_list;

// Of |u·Jv - v·Jᵀu| against |u||Jv| + |v||Jᵀu| for one op, where nothing accumulates: what it loses
// is a good part of the whole.
constexpr double kToleranceOneOp = 1e-3;
// float32's smallest normal number over its rounding.
constexpr double kEdgeOfRange = 1e-31;
// Where a look at the device costs a wait.
constexpr size_t kVerifyInterval = 10;

/// A random tensor like the one that `edge` stands for, to be differentiated by.
Tensor random_at(const Edge& edge, at::Generator& generator) {
  return random_normal(shape_at(edge), options_at(edge), generator).requires_grad_();
}

Tensor flat(const Tensor& t) { return t.dim() == 1 ? t : t.reshape(-1); }
Tensor flat_dot(const Tensor& a, const Tensor& b) { return flat(a).dot(flat(b)); }

}  // namespace

edge_list edges_of(const std::vector<Tensor>& parameters) {
  edge_list edges;
  for (const auto& parameter : parameters)
    edges.push_back(torch::autograd::impl::gradient_edge(parameter));
  return edges;
}

Linearization::Linearization(const Census& network, ParameterLayout parameters,
                             at::Generator generator)
    : outputs_(network.roots),
      parameters_(std::move(parameters)),
      parameter_edges_(edges_of(parameters_.tensors())),
      tolerance_(network.rounding) {
  for (const auto& output : outputs_) dummy_.push_back(random_at(output, generator));
  const auto pulled_back = backward(outputs_, dummy_, parameter_edges_, Pass::Differentiable);
  for (size_t i = 0; i < pulled_back.size(); ++i) {
    if (!pulled_back[i].defined() || !pulled_back[i].requires_grad()) continue;
    pullback_.push_back(torch::autograd::impl::gradient_edge(pulled_back[i]));
    reached_.push_back(i);
  }
  torch::NoGradGuard no_grad;
  pulled_back_ = parameters_.flatten(pulled_back);
  pulled_back_norm_ = norm_in_double(pulled_back_);
  double squares = 0;
  for (const auto& u : dummy_) squares += flat_dot(u, u).item<double>();
  dummy_norm_ = std::sqrt(squares);
  dummy_edges_ = edges_of(dummy_);
}

std::vector<Tensor> Linearization::multiply(const Tensor& v) const {
  const auto pieces = parameters_.views(v);
  std::vector<Tensor> cotangents;
  for (const size_t i : reached_) cotangents.push_back(pieces[i]);
  auto jv = backward(pullback_, cotangents, dummy_edges_);
  for (size_t k = 0; k < jv.size(); ++k) {
    if (!jv[k].defined()) jv[k] = torch::zeros_like(dummy_[k]);
  }
  check_product(v, jv);
  return jv;
}

Tensor Linearization::multiply_transposed(const std::vector<Tensor>& u) const {
  edge_list roots;
  std::vector<Tensor> cotangents;
  for (size_t k = 0; k < u.size(); ++k) {
    if (!u[k].defined()) continue;
    roots.push_back(outputs_[k]);
    const auto& options = options_at(outputs_[k]);
    cotangents.push_back(u[k].dtype() == options.dtype() ? u[k] : u[k].to(options));
  }
  torch::NoGradGuard no_grad;
  return parameters_.flatten(backward(roots, cotangents, parameter_edges_));
}

void Linearization::check_product(const Tensor& v, const std::vector<Tensor>& jv) const {
  if (jv.empty()) return;  // a loss of penalties alone
  torch::NoGradGuard no_grad;
  if (v.is_cpu() && !is_batched(v)) return check_product_now(v, jv);
  Tensor u_jv = flat_dot(dummy_[0], jv[0]), jv_jv = flat_dot(jv[0], jv[0]);
  for (size_t k = 1; k < jv.size(); ++k) {
    u_jv = u_jv + flat_dot(dummy_[k], jv[k]).to(u_jv.scalar_type());
    jv_jv = jv_jv + flat_dot(jv[k], jv[k]).to(u_jv.scalar_type());
  }
  unverified_.push_back(batch_values(
      torch::stack({u_jv.to(v.dtype()), jv_jv.to(v.dtype()), v.dot(pulled_back_), v.dot(v)})));
  if (v.is_cpu() || unverified_.size() == kVerifyInterval) verify();
}

void Linearization::check_product_now(const Tensor& v, const std::vector<Tensor>& jv) const {
  double u_jv = 0, jv_jv = 0;
  for (size_t k = 0; k < jv.size(); ++k) {
    u_jv += flat_dot(dummy_[k], jv[k]).item<double>();
    jv_jv += flat_dot(jv[k], jv[k]).item<double>();
  }
  const double v_g = v.dot(pulled_back_).item<double>();
  // Most often the first summand of the bound is enough, and |v| need not be known.
  if (std::abs(u_jv - v_g) <= tolerance_ * dummy_norm_ * std::sqrt(jv_jv)) return;
  // Squares of float32 numbers under- and overflow where the numbers themselves do not.
  jv_jv = 0;
  for (const auto& part : jv) jv_jv += std::pow(norm_in_double(part), 2);
  require_agreement(u_jv, jv_jv, v_g, std::pow(norm_in_double(v), 2));
}

void Linearization::verify() const {
  if (unverified_.empty()) return;
  const auto products =
      torch::cat(std::exchange(unverified_, {})).to(torch::kCPU, torch::kDouble).contiguous();
  const auto rows = products.accessor<double, 2>();
  for (int64_t i = 0; i < rows.size(0); ++i) {
    require_agreement(rows[i][0], rows[i][1], rows[i][2], rows[i][3]);
  }
}

void Linearization::require_agreement(double u_jv, double jv_jv, double v_g, double v_v) const {
  const double size = dummy_norm_ * std::sqrt(jv_jv) + std::sqrt(v_v) * pulled_back_norm_;
  // A product that is not finite is no mismatch: the solver finds and reports it. Nor is one at the
  // lower edge of float32's range, where digits are lost before anything else goes wrong.
  if (!std::isfinite(size + u_jv + v_g) || size < kEdgeOfRange) return;
  if (std::abs(u_jv - v_g) <= tolerance_ * size) return;
  const auto op = find_undifferentiable_op(outputs_);
  TORCH_CHECK(
      false, "natgrad: J v and Jᵀu disagree: u·(J v) = ", u_jv, " but v·(Jᵀu) = ", v_g,
      ". The backward of ", op.empty() ? "some op of the network" : op,
      " is not differentiable: it detaches, or computes on raw data. Write that backward with "
      "differentiable torch operations on the tensors that ctx saves.");
}

namespace {

/// Whether u·(J v) = v·(Jᵀu) holds for one node alone. With v = Jᵀu, u·(J v) must be |Jᵀu|².
bool is_differentiable(Node& node) {
  auto generator = make_generator(0);
  std::vector<Tensor> u, v;
  const auto self = result_of(node).function;
  for (uint32_t i = 0; i < node.num_inputs(); ++i) {
    const bool used = !node.input_metadata(i).was_default_constructed();
    u.push_back(used ? random_at({self, i}, generator) : Tensor());
  }
  const torch::AutoGradMode differentiable(true);
  edge_list roots;
  double g_g = 0, u_jg = 0;
  for (const auto& g : node(variable_list(u))) {
    if (!g.defined()) continue;
    g_g += flat_dot(g.detach(), g.detach()).item<double>();
    if (!g.requires_grad()) continue;
    roots.push_back(torch::autograd::impl::gradient_edge(g));
    v.push_back(g.detach());
  }
  const auto jv = backward(roots, v, edges_of(u));
  for (size_t k = 0; k < u.size(); ++k) {
    if (jv[k].defined()) u_jg += flat_dot(u[k].detach(), jv[k]).item<double>();
  }
  return std::abs(u_jg - g_g) <= kToleranceOneOp * (std::abs(g_g) + std::abs(u_jg));
}

}  // namespace

std::string find_undifferentiable_op(const edge_list& outputs) {
  std::string found;
  depth_first(outputs, [&](Node& node, Node*) {
    if (found.empty() && !node.next_edges().empty() && !is_differentiable(node))
      found = node.name();
    return found.empty();
  });
  return found;
}

}  // namespace natgrad::detail
