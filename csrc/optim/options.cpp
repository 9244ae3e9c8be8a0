#include <fmt/format.h>
#include <natgrad/optim/options.h>
#include <torch/script.h>
#include <torch/torch.h>

#include <cmath>
#include <tuple>

namespace natgrad {

NaturalGradientOptions& NaturalGradientOptions::curvature(const Curvature& curvature) {
  curvature_ = curvature.clone();
  return *this;
}

NaturalGradientOptions& NaturalGradientOptions::solver(const Solver& solver) {
  solver_ = solver.clone();
  return *this;
}

NaturalGradientOptions& NaturalGradientOptions::damping(const Damping& damping) {
  damping_ = damping.clone();
  return *this;
}

NaturalGradientOptions& NaturalGradientOptions::damping_matrix(const DampingMatrix& matrix) {
  damping_matrix_ = matrix.clone();
  return *this;
}

NaturalGradientOptions& NaturalGradientOptions::preconditioner(
    const Preconditioner& preconditioner) {
  preconditioner_ = preconditioner.clone();
  return *this;
}

NaturalGradientOptions& NaturalGradientOptions::step_rule(const StepRule& rule) {
  step_rule_ = rule.clone();
  return *this;
}

NaturalGradientOptions& NaturalGradientOptions::module(const torch::jit::Module& module) {
  scripted_module_ = std::make_shared<torch::jit::Module>(module);  // a handle
  return *this;
}

void NaturalGradientOptions::check() const {
  TORCH_CHECK(lr_ >= 0 && std::isfinite(lr_), "natgrad: lr is a finite number >= 0, but is ", lr_,
              ".");
  TORCH_CHECK(weight_decay_ >= 0 && std::isfinite(weight_decay_),
              "natgrad: weight_decay is a finite number >= 0, but is ", weight_decay_, ".");
  TORCH_CHECK(warm_start_ >= 0 && warm_start_ <= 1,
              "natgrad: warm_start is a share of the last solution, in [0, 1], but is ",
              warm_start_, ".");
  TORCH_CHECK(
      examples_ >= 0,
      "natgrad: examples is the number of examples in a batch, or 0 to find it in the loss's "
      "graph, but is ",
      examples_, ".");
  TORCH_CHECK(max_gradient_norm_ > 0, "natgrad: max_gradient_norm is a norm > 0, but is ",
              max_gradient_norm_, ".");
  TORCH_CHECK(max_step_norm_ > 0, "natgrad: max_step_norm is a norm > 0, but is ", max_step_norm_,
              ".");
  TORCH_CHECK(curvature_chunks_ >= 0,
              "natgrad: curvature_chunks is a number of chunks, or 0 for all, but is ",
              curvature_chunks_, ".");
}

std::string NaturalGradientOptions::describe_system() const {
  const auto described = [](const auto* part, const char* otherwise) {
    return part ? part->describe() : otherwise;
  };
  return fmt::format(
      "{}, {}, {}, damping_matrix={}, preconditioner={}, {}, warm_start={}, curvature_chunks={}, "
      "examples={}, max_gradient_norm={}, max_step_norm={}, seed={}, maximize={}, fill_grad={}, "
      "unread={}, measure={}",
      curvature_->describe(), solver_->describe(), damping_->describe(),
      described(damping_matrix_.get(), "identity"), described(preconditioner_.get(), "none"),
      step_rule_->describe(), warm_start_, curvature_chunks_, examples_, max_gradient_norm_,
      max_step_norm_, seed_, maximize_, fill_grad_,
      unread_ == Unread::Throw ? "throw" : "substitute", measure_);
}

bool NaturalGradientOptions::same_system(const NaturalGradientOptions& other) const {
  const auto parts = [](const NaturalGradientOptions& o) {
    return std::tie(o.curvature_, o.solver_, o.damping_, o.damping_matrix_, o.preconditioner_,
                    o.step_rule_, o.warm_start_, o.curvature_chunks_, o.examples_,
                    o.max_gradient_norm_, o.max_step_norm_, o.seed_, o.maximize_, o.fill_grad_,
                    o.unread_, o.measure_);
  };
  const bool same_scripted = scripted_module_ == other.scripted_module_ ||
                             (scripted_module_ && other.scripted_module_ &&
                              scripted_module_->_ivalue() == other.scripted_module_->_ivalue());
  return module_ == other.module_ && same_scripted &&
         (parts(*this) == parts(other) || describe_system() == other.describe_system());
}

}  // namespace natgrad
