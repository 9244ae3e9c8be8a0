#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/graph/loss_graph.h>
#include "detail.h"
#include "optim/replayed_batch.h"
#include "optim/trainable.h"

#include <functional>
#include <optional>
#include <string>

namespace natgrad::detail {

/// R and t with ∇h = -Rᵀt, for C = RᵀR.
struct RowForm {
  std::shared_ptr<const Root> root;
  torch::Tensor targets;
};

/// A number of examples, if it is known, and how it was found where that is not plain.
struct ExampleCount {
  std::optional<double> examples = {};
  std::string basis = {};
};

/// What is minimised in one step, on a batch in one piece or in chunks, with its gradient and
/// curvature at θ, and elsewhere:
///
///     h(θ) = ± mean over the chunks of the closure's loss + ½ θᵀ(w ⊙ θ).
///
/// The only place that takes averages over data.
///
/// With one chunk its graph serves everything. With several, all but the first are evaluated, used
/// and dropped, so that the memory is that of two: ∇h costs nothing more; a product with the
/// curvature also takes a forward pass and the building of the graph again. What is only estimated
/// (the gradient's noise, a preconditioner, a damping matrix) is taken from the first.
class Evaluator {
 public:
  /// What the batch is for. For the curvature alone no more than its first chunk is evaluated.
  enum class Use { Both, Gradient, Curvature };

  /// Calls the closure at θ. A loss that is not finite is a value (`faulty_loss`); whatever the
  /// closure throws passes through. `stream`: which of the seed's random streams the probes are
  /// drawn from. All arguments have to outlive it.
  Evaluator(ReplayedBatch& batch, const std::vector<torch::optim::OptimizerParamGroup>& groups,
            const NaturalGradientOptions& system, uint64_t stream, Use use = Use::Both);

  /// The mean loss as the user has it, without sign and weight decay; a 0-d tensor.
  const torch::Tensor& loss() const { return loss_; }
  /// The loss of a chunk that was not finite, with its graph; undefined if there was none. If it is
  /// defined, nothing is known but this, `loss` and `trainable`.
  const torch::Tensor& faulty_loss() const { return faulty_loss_; }

  ReplayedBatch& batch() const { return batch_; }
  /// The parameters that require a gradient once the closure has been called.
  const Trainable& trainable() const { return trainable_; }
  const ParameterLayout& parameters() const { return graph().parameters(); }
  /// w of each parameter, [P], or the one that all have, 0-d; undefined if all are zero.
  const torch::Tensor& weight_decay() const { return weight_decay_; }
  /// The first chunk's graph, of ± its loss.
  const LossGraph& graph() const;

  /// h(θ).
  double value() const { return value_of(sum_, batch_.chunks(), parameters().values()); }
  /// From now on ∇h counts as so many times what it is.
  void scale_gradient(double scale) { gradient_scale_ = scale; }
  double gradient_scale() const { return gradient_scale_; }
  /// ∇h(θ), [P]: -Rᵀt where the curvature's rows tell it, else by a backward pass.
  torch::Tensor gradient() const;
  /// The gradient of `loss` itself, [P].
  torch::Tensor loss_gradient() const;

  /// h(θ + d) for d of [P], at θ itself if that is undefined, on this or another batch, infinite
  /// where outputs leave their family's domain; and the
  /// gradient there, [P], if asked for. The parameters hold other memory meanwhile, so that graphs
  /// of θ stay valid. A forward pass a chunk, and a backward pass for the gradient.
  double at(const torch::Tensor& d, ReplayedBatch& batch, torch::Tensor* gradient = nullptr) const;

  /// The curvature's t(θ + d) for a loss of squared errors; undefined for others, and where outputs
  /// leave their domain. A forward pass.
  torch::Tensor residuals_at(const torch::Tensor& d) const;

  /// Shows each chunk's graph at θ and at θ + d. For a forward pass a chunk, and with several
  /// chunks another one for all but the first. False, with the rest not shown, where outputs leave
  /// their domain.
  bool compare(
      const torch::Tensor& d,
      const std::function<void(const LossGraph& graph, const LossGraph& moved)>& look) const;

  /// The options' C, with the Hessian of penalties and weight decay, of as many chunks as the
  /// options say.
  LinearOperator matrix() const { return matrix_of(curvature_chunks()); }
  /// The same of all chunks.
  LinearOperator whole_matrix() const { return matrix_of(batch_.chunks()); }
  /// Whether that is another.
  bool takes_part_of_chunks() const { return curvature_chunks() < batch_.chunks(); }
  /// Which C the curvature chose; empty if it had no choice.
  const std::string& choice() const { return curvature().choice; }
  /// The options' D; none for the identity.
  std::optional<LinearOperator> damping_matrix() const;
  /// ‖∇h‖ before it is scaled; without ∇h itself where the rows tell it for less.
  double gradient_norm() const;
  /// C's root and t, with ∇h = -Rᵀt but for weight decay; nothing where the rows do not tell ∇h of
  /// the whole batch.
  std::optional<RowForm> rows() const;
  /// An estimate of the batch's gradient noise.
  double noise() const;
  /// How many examples the noise takes the batch to have, and why.
  ExampleCount examples() const;

 private:
  double inside_domain_at(const torch::Tensor& d, ReplayedBatch& batch,
                          torch::Tensor* gradient) const;
  torch::Tensor add_loss(int64_t chunk);
  void add_gradient(int64_t chunk, const torch::Tensor& loss);
  LossGraph graph_of(int64_t chunk, const torch::Tensor& loss, Terms terms) const;
  int64_t curvature_chunks() const;
  std::optional<RowForm> unscaled_rows() const;
  /// C and its noise on the first chunk, made once.
  const CurvatureAt& curvature() const;
  LinearOperator matrix_of(int64_t chunks) const;
  LinearOperator matrix_of_first_chunk() const;
  LinearOperator matrix_of_chunks(int64_t chunks) const;
  /// The gradient of ± the mean loss.
  torch::Tensor mean_gradient() const;
  double sign() const { return system_.maximize() ? -1 : 1; }
  /// h, from the sum of its chunks' losses.
  double value_of(double sum, int64_t chunks, const torch::Tensor& theta) const;
  /// ∇h, from that of ± the mean loss.
  torch::Tensor gradient_of(const torch::Tensor& mean, const torch::Tensor& theta) const;

  ReplayedBatch& batch_;
  const std::vector<torch::optim::OptimizerParamGroup>& groups_;
  const NaturalGradientOptions& system_;
  uint64_t stream_;
  Use use_;
  Trainable trainable_;
  std::optional<LossGraph> graph_;
  mutable std::optional<CurvatureAt> curvature_;
  torch::Tensor loss_, faulty_loss_, weight_decay_;
  mutable torch::Tensor mean_gradient_;
  double gradient_scale_ = 1;
  double sum_ = 0;  // of the chunks' losses
};

}  // namespace natgrad::detail
