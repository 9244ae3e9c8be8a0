#include "optim/evaluator.h"
#include <fmt/format.h>
#include <natgrad/curvature/penalty_hessian.h>
#include <torch/torch.h>
#include "graph/loss_graph_state.h"
#include "linalg/norm.h"
#include "optim/preserved.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace natgrad::detail {

using torch::Tensor;

namespace {

// ‖Rᵀt‖ is told by RRᵀ, which a solver most often forms anyway, where it costs no more than so many
// products: few, for the solvers that do not.
constexpr double kPairsForNorm = 6;
// Where the examples' gradients cancel to less than that, tᵀRRᵀt is rounding: in float32 it leaves
// a per mille of the norm in doubt then.
constexpr double kLeastShare = 1e-4;
constexpr int kChunkBits = 40;  // of a stream's number: below lies the step's, above the chunk's

/// C, and the Hessian of the loss's penalties where the curvature leaves them out.
LinearOperator with_penalties(const Curvature& curvature, const LinearOperator& C,
                              const LossGraph& graph) {
  const bool adds = curvature.needs_penalties() && graph.is_readable() && graph.has_penalties();
  return adds ? C + penalty_hessian(graph) : C;
}

/// How the examples of several outputs were counted.
std::string basis_of(const ExampleGroups& groups) {
  const auto outputs = groups.of_output.size();
  if (groups.count == 1) return fmt::format("{} outputs with the same inputs", outputs);
  return groups.all_seen
             ? fmt::format("{} outputs with {} inputs of their own", outputs, groups.count)
             : fmt::format("{} outputs, taken to have {} inputs of their own: not all were seen",
                           outputs, groups.count);
}

/// When a curvature has the loss read.
Terms terms_of(const Curvature& curvature) {
  return curvature.needs_terms() ? Terms::Required : Terms::WhenAsked;
}

}  // namespace

Evaluator::Evaluator(ReplayedBatch& batch,
                     const std::vector<torch::optim::OptimizerParamGroup>& groups,
                     const NaturalGradientOptions& system, uint64_t stream, Use use)
    : batch_(batch), groups_(groups), system_(system), stream_(stream), use_(use) {
  const torch::AutoGradMode enable_grad(true);
  const bool takes_gradient = use != Use::Curvature;
  const auto terms = use == Use::Gradient ? Terms::WhenAsked : terms_of(system.curvature());
  const auto chunks = takes_gradient ? batch.chunks() : 1;
  for (int64_t k = 0; k < chunks; ++k) {
    const auto loss = add_loss(k);
    if (faulty_loss_.defined()) break;
    if (k == 0) graph_.emplace(graph_of(k, loss, terms));
    // Of one chunk, its graph gives the gradient when it is asked for.
    if (takes_gradient && batch.chunks() > 1) add_gradient(k, loss);
  }
  if (chunks > 1) loss_ = loss_ / static_cast<double>(chunks);
  if (graph_) weight_decay_ = natgrad::weight_decay(trainable_, parameters());
}

Tensor Evaluator::add_loss(int64_t chunk) {
  const auto loss = batch_.evaluate(chunk);
  if (chunk == 0) trainable_ = trainable_of(groups_);
  loss_ = chunk == 0 ? loss.detach() : loss_ + loss.detach();
  const double value = loss.item<double>();
  sum_ += value;
  if (!std::isfinite(value)) faulty_loss_ = loss;
  return loss;
}

void Evaluator::add_gradient(int64_t chunk, const Tensor& loss) {
  const auto count = static_cast<double>(batch_.chunks());
  mean_gradient_ = chunk == 0 ? graph_->gradient() / count
                              : mean_gradient_.add_(
                                    graph_of(chunk, loss, Terms::WhenAsked).gradient(), 1 / count);
}

LossGraph Evaluator::graph_of(int64_t chunk, const Tensor& loss, Terms terms) const {
  const RandomStreams streams(system_.seed(),
                              stream_ + (static_cast<uint64_t>(chunk) << kChunkBits));
  LossGraph graph(system_.maximize() ? -loss : loss, trainable_.parameters, streams, terms,
                  system_.unread());
  if (system_.examples() > 0) {
    tell_examples(graph,
                  static_cast<double>(system_.examples()) / static_cast<double>(batch_.chunks()));
  }
  return graph;
}

const LossGraph& Evaluator::graph() const {
  TORCH_INTERNAL_ASSERT(graph_, "natgrad: a loss that is not finite has no graph to use.");
  return *graph_;
}

double Evaluator::value_of(double sum, int64_t chunks, const Tensor& theta) const {
  const double h = sign() * sum / static_cast<double>(chunks);
  if (!weight_decay_.defined()) return h;
  return h + 0.5 * (weight_decay_ * theta).dot(theta).item<double>();
}

Tensor Evaluator::gradient_of(const Tensor& mean, const Tensor& theta) const {
  return weight_decay_.defined() ? mean + weight_decay_ * theta : mean;
}

Tensor Evaluator::mean_gradient() const {
  if (mean_gradient_.defined()) return mean_gradient_;
  const auto form = unscaled_rows();
  return mean_gradient_ =
             form ? -form->root->multiply_transposed(form->targets) : graph().gradient();
}

double Evaluator::gradient_norm() const {
  const auto form = weight_decay_.defined() ? std::nullopt : unscaled_rows();
  const auto costs = form ? form->root->estimate(parameters().size()) : RootCosts();
  if (form && costs.gram <= kPairsForNorm * costs.product) {
    const auto& t = form->targets;
    const auto& gram = form->root->gram();
    const double square = t.dot(gram.mv(t)).item<double>();
    const double size = t.abs().dot(gram.diagonal().sqrt()).item<double>();  // Σ|tᵢ|‖Rᵢ‖
    const bool is_told = square > kLeastShare * size * size;
    if (is_told && std::isfinite(square)) return std::sqrt(square);
  }
  return norm_in_double(gradient_of(
      mean_gradient(), parameters().values()));  // also where squares underflow or overflow
}

std::optional<RowForm> Evaluator::rows() const {
  auto form = unscaled_rows();
  if (form && gradient_scale_ != 1) form->targets = form->targets * gradient_scale_;
  return form;
}

std::optional<RowForm> Evaluator::unscaled_rows() const {
  const bool is_whole = use_ == Use::Both && batch_.chunks() == 1;
  if (!is_whole || !system_.curvature().tells_gradient() || !curvature().targets.defined() ||
      graph().has_penalties())
    return std::nullopt;
  return RowForm{curvature().matrix.root_form()->root, curvature().targets};
}

Tensor Evaluator::loss_gradient() const {
  const auto g = mean_gradient();
  return system_.maximize() ? -g : g;
}

Tensor Evaluator::gradient() const {
  const auto whole = gradient_of(mean_gradient(), parameters().values());
  return gradient_scale_ == 1 ? whole : whole * gradient_scale_;
}

double Evaluator::at(const Tensor& d, ReplayedBatch& batch, Tensor* gradient) const {
  try {
    return inside_domain_at(d, batch, gradient);
  } catch (const OutsideDomain&) {
    if (gradient) *gradient = torch::zeros_like(parameters().values());
    return std::numeric_limits<double>::infinity();
  }
}

double Evaluator::inside_domain_at(const Tensor& d, ReplayedBatch& batch, Tensor* gradient) const {
  const auto& layout = parameters();
  const auto own = layout.values(), theta = d.defined() ? own + d : own;
  Preserved before;
  before.exchange_data(layout.tensors(), layout.views(theta));
  const double weight = sign() / static_cast<double>(batch.chunks());
  double sum = 0;
  auto mean = gradient ? torch::zeros_like(theta) : Tensor();
  for (int64_t k = 0; k < batch.chunks(); ++k) {
    const auto loss = batch.evaluate_trial(k, /*differentiable=*/gradient != nullptr);
    sum += loss.item<double>();
    if (!gradient) continue;
    const auto pieces = torch::autograd::grad({loss}, layout.tensors(), {}, false, false,
                                              /*allow_unused=*/true);
    mean.add_(layout.flatten(pieces), weight);
  }
  if (gradient) *gradient = gradient_of(mean, theta);
  return value_of(sum, batch.chunks(), theta);
}

Tensor Evaluator::residuals_at(const Tensor& d) const {
  if (batch_.chunks() > 1) return {};
  const auto& layout = parameters();
  const auto theta = layout.values() + d;
  Preserved before;
  before.exchange_data(layout.tensors(), layout.views(theta));
  try {
    const torch::AutoGradMode enable_grad(true);
    const auto loss = batch_.evaluate_trial(0, /*differentiable=*/true);
    if (!std::isfinite(loss.item<double>())) return {};
    return system_.curvature().residuals(graph_of(0, loss, Terms::WhenAsked));
  } catch (const OutsideDomain&) {
    return {};
  }
}

bool Evaluator::compare(
    const Tensor& d,
    const std::function<void(const LossGraph& graph, const LossGraph& moved)>& look) const {
  const torch::AutoGradMode enable_grad(true);
  const auto& layout = parameters();
  const auto theta = layout.values() + d;
  for (int64_t k = 0; k < batch_.chunks(); ++k) {
    const auto here = k == 0 ? graph() : graph_of(k, batch_.evaluate(k), Terms::WhenAsked);
    if (!here.is_readable()) return true;  // before the parameters move, on which its terms hang
    Preserved before;
    before.exchange_data(layout.tensors(), layout.views(theta));
    try {
      look(here, graph_of(k, batch_.evaluate(k), Terms::WhenAsked));
    } catch (const OutsideDomain&) {
      return false;
    }
  }
  return true;
}

int64_t Evaluator::curvature_chunks() const {
  const auto asked = system_.curvature_chunks();
  return asked == 0 ? batch_.chunks() : std::min(asked, batch_.chunks());
}

LinearOperator Evaluator::matrix_of(int64_t chunks) const {
  const auto C = chunks == 1 ? matrix_of_first_chunk() : matrix_of_chunks(chunks);
  if (!weight_decay_.defined()) return C;
  // A shift leaves a matrix that knows its inverse, or its root, as easy to solve as it was.
  return weight_decay_.dim() == 0 ? C + weight_decay_.item<double>()
                                  : C + diagonal_operator(weight_decay_);
}

const CurvatureAt& Evaluator::curvature() const {
  if (!curvature_) curvature_ = system_.curvature().at(graph());
  return *curvature_;
}

LinearOperator Evaluator::matrix_of_first_chunk() const {
  return with_penalties(system_.curvature(), curvature().matrix, graph());
}

LinearOperator Evaluator::matrix_of_chunks(int64_t chunks) const {
  const auto& curvature = system_.curvature();
  const auto first = matrix_of_first_chunk();
  const auto multiply = [this, &curvature, chunks, first](const Tensor& v) {
    Tensor sum = first.multiply(v);
    for (int64_t k = 1; k < chunks; ++k) {
      const torch::AutoGradMode enable_grad(true);
      const auto graph = graph_of(k, batch_.evaluate(k), terms_of(curvature));
      sum += with_penalties(curvature, curvature.at(graph).matrix, graph).multiply(v).detach();
      graph.verify();
    }
    return sum.div_(static_cast<double>(chunks));
  };
  return {curvature.describe() + " of chunks", parameters().size(), parameters().options(),
          multiply, Columns::Together};
}

std::optional<LinearOperator> Evaluator::damping_matrix() const {
  const auto* D = system_.damping_matrix();
  return D ? std::optional(D->at(graph())) : std::nullopt;
}

double Evaluator::noise() const {
  const auto chunks = static_cast<double>(batch_.chunks());
  const double noise = curvature().noise(graph().generator(Purpose::Noise)).item<double>() / chunks;
  const auto told = static_cast<double>(system_.examples());
  return told > 0 && graph().is_readable() ? noise * graph().distinct_examples() * chunks / told
                                           : noise;
}

ExampleCount Evaluator::examples() const {
  ExampleCount count;
  if (system_.examples() > 0) return {static_cast<double>(system_.examples()), "as told"};
  if (!graph().is_readable()) return count;
  count.examples = graph().distinct_examples() * static_cast<double>(batch_.chunks());
  if (graph().outputs() > 1) count.basis = basis_of(example_groups_of(graph()));
  return count;
}

}  // namespace natgrad::detail
