#include <fmt/format.h>
#include <natgrad/diagnostics/operator_health.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/lanczos.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "diagnostics/health_checks.h"
#include "graph/linearization.h"
#include "graph/loss_graph_state.h"
#include "graph/rounding_through_network.h"
#include "linalg/norm.h"

namespace natgrad {

using torch::Tensor;

namespace {

void check_health_options(const OperatorHealthOptions& options) {
  TORCH_CHECK_VALUE(
      options.probes() >= 2 && options.lanczos_steps() >= 0 && options.tolerance() >= 0,
      "natgrad: operator_health takes probes >= 2, lanczos_steps >= 0 and a "
      "tolerance >= 0, but got ",
      options.probes(), ", ", options.lanczos_steps(), " and ", options.tolerance(), ".");
}

/// `gap` in units of `size`; of nothing, 0.
double share(double gap, double size) { return gap == 0 ? 0 : gap / size; }

/// One examination of A: its probes and their products.
class Examination {
 public:
  Examination(const LinearOperator& A, const OperatorHealthOptions& options, double tolerance)
      : A_(A), options_(options), tolerance_(tolerance) {
    auto generator = make_generator(options.seed());
    for (int64_t i = 0; i < options.probes(); ++i) {
      v_.push_back(random_normal({A.size()}, A.options(), generator));
    }
  }

  void run(Health& health) {
    const auto look = [&](const char* name, HealthCheck (Examination::*check)(const char*)) {
      examine(health, name, [&] { return (this->*check)(name); });
    };
    look("products", &Examination::products);
    if (!health.holds) return;  // of no numbers there is nothing more to say
    look("deterministic", &Examination::deterministic);
    look("linear", &Examination::linear);
    look("symmetric", &Examination::symmetric);
    look("semidefinite", &Examination::semidefinite);
    if (options_.lanczos_steps() > 0) look("smallest Ritz value", &Examination::smallest_ritz);
    look("block of columns", &Examination::block_of_columns);
    look("inner products", &Examination::inner_products);
    if (A_.root_form()) look("root", &Examination::root);
    if (A_.has_solve()) look("inverse", &Examination::inverse);
  }

 private:
  HealthCheck products(const char* name) {
    int64_t missing = 0;
    for (const auto& v : v_) {
      av_.push_back(A_.multiply(v));
      TORCH_CHECK(av_.back().sizes() == v.sizes(), "natgrad: a product has the shape ",
                  av_.back().sizes(), " where the vector has ", v.sizes(), ".");
      missing += av_.back().isfinite().logical_not().sum().item<int64_t>();
    }
    return judged(name, static_cast<double>(missing), 0, "numbers that are not finite");
  }

  HealthCheck deterministic(const char* name) {
    const auto again = A_.multiply(v_[0]);
    auto check = judged(name, relative_difference(again, av_[0]), tolerance_,
                        "the same product twice gives other numbers: it draws random ones, or "
                        "something that it uses changes");
    if (check.holds) {
      check.says = torch::equal(again, av_[0]) ? "the same bits" : "to rounding, not to the bit";
    }
    return check;
  }

  HealthCheck linear(const char* name) {
    constexpr double kA = 2, kB = -0.5;
    const auto product = A_.multiply(kA * v_[0] + kB * v_[1]);
    const auto expected = kA * av_[0] + kB * av_[1];
    const double size = kA * norm_in_double(av_[0]) - kB * norm_in_double(av_[1]);
    return judged(name, share(norm_in_double(product - expected), size), tolerance_,
                  "A(2u - v/2) is not 2Au - Av/2");
  }

  HealthCheck symmetric(const char* name) {
    double worst = 0;
    for (size_t i = 0; i < v_.size(); ++i) {
      const size_t j = (i + 1) % v_.size();
      const double gap = std::abs(dot_in_double(v_[i], av_[j]) - dot_in_double(v_[j], av_[i]));
      const double size = norm_in_double(v_[i]) * norm_in_double(av_[j]) +
                          norm_in_double(v_[j]) * norm_in_double(av_[i]);
      worst = std::max(worst, share(gap, size));
    }
    return judged(name, worst, tolerance_,
                  "u·Av is not v·Au: A is not its own adjoint, as conjugate gradients and "
                  "Cholesky's factors need it");
  }

  HealthCheck semidefinite(const char* name) {
    double worst = 0;
    for (size_t i = 0; i < v_.size(); ++i) {
      const double size = norm_in_double(v_[i]) * norm_in_double(av_[i]);
      worst = std::max(worst, share(-dot_in_double(v_[i], av_[i]), size));
    }
    return judged_if_meant(name, worst, "vᵀAv is negative: A is indefinite");
  }

  HealthCheck smallest_ritz(const char* name) {
    const auto steps = std::min(options_.lanczos_steps(), A_.size());
    const auto options =
        LanczosOptions().max_iterations(steps).seed(options_.seed() + 1).tolerance(tolerance_);
    const auto leading = [&](const LinearOperator& of, Leading which) {
      return leading_eigenpairs(of, LanczosOptions(options).leading(which))
          .values[0]
          .item<double>();
    };
    const double largest = leading(A_, Leading::ByMagnitude);
    const double smallest = largest < 0 ? largest : -leading(-1.0 * A_, Leading::Algebraic);
    const double value = share(std::max(0.0, -smallest), std::abs(largest));
    return judged_if_meant(name, value,
                           fmt::format("A has an eigenvalue of {:.3g} or less, where the largest "
                                       "is about {:.3g}: it is indefinite",
                                       smallest, largest));
  }

  HealthCheck block_of_columns(const char* name) {
    const auto block = A_.multiply(torch::stack({v_[0], v_[1]}, 1));
    const auto expected = torch::stack({av_[0], av_[1]}, 1);
    return judged(name, relative_difference(block, expected), tolerance_,
                  "columns multiplied together give other products than one by one");
  }

  HealthCheck inner_products(const char* name) {
    const auto inner = A_.inner({v_[0], v_[1]});
    auto expected = torch::empty({2, 2}, torch::kDouble);
    for (int64_t i = 0; i < 2; ++i) {
      for (int64_t j = 0; j < 2; ++j) expected[i][j] = dot_in_double(v_[i], av_[j]);
    }
    // Against the size of what is summed up, which may cancel.
    const double size = norm_in_double(v_[0]) * norm_in_double(av_[0]) +
                        norm_in_double(v_[1]) * norm_in_double(av_[1]);
    return judged(name, share(norm_in_double(inner - expected), size), tolerance_,
                  "VᵀAV told by inner() is not that of the products");
  }

  HealthCheck root(const char* name) {
    const auto& form = *A_.root_form();
    const auto& R = *form.root;
    const auto product = form.scale * R.multiply_transposed(R.multiply(v_[0])) + form.shift * v_[0];
    return judged(name, relative_difference(product, av_[0]), tolerance_,
                  "RᵀR v of the root that direct solvers use is not A v");
  }

  /// Of A + λI, as solvers ask for it: A itself may be singular.
  HealthCheck inverse(const char* name) {
    const double lambda = norm_in_double(av_[0]) / norm_in_double(v_[0]);
    const auto damped = A_ + lambda;
    return judged(name, relative_difference(damped.multiply(damped.solve(v_[0])), v_[0]),
                  tolerance_, "(A + λI) times solve(b) is not b");
  }

  HealthCheck judged_if_meant(const char* name, double value, const std::string& says) const {
    auto check = judged(name, std::max(value, 0.0), tolerance_, says);
    if (options_.semidefinite() || check.holds) return check;
    check.holds = true;
    check.tolerance = 1;
    check.says += ", as it may be";
    return check;
  }

  const LinearOperator& A_;
  const OperatorHealthOptions& options_;
  double tolerance_;
  std::vector<Tensor> v_, av_;
};

double tolerance_or(const OperatorHealthOptions& options, double rounding) {
  return options.tolerance() > 0 ? options.tolerance() : rounding;
}

/// The graph's first op whose backward is not differentiable; nothing where that cannot be tried.
std::string undifferentiable_op(const LossGraph& graph) {
  try {
    return find_undifferentiable_op({root_edge(graph)});
  } catch (const c10::NotImplementedError&) {
    return "";
  }
}

HealthCheck noise_check(const CurvatureAt& at) {
  const double noise = at.noise(make_generator(0)).item<double>();
  const bool sound = std::isfinite(noise) && noise >= 0;
  return judged("noise",
                sound            ? 0
                : noise == noise ? std::abs(noise)
                                 : noise,
                0, fmt::format("the estimate of the gradient's noise is {:g}", noise));
}

HealthCheck targets_check(const LossGraph& graph, const CurvatureAt& at, double tolerance) {
  const auto told = -at.matrix.root_form()->root->multiply_transposed(at.targets);
  return judged("targets", relative_difference(told, graph.gradient()), tolerance,
                "∇h is not -Rᵀt, as the rows tell it");
}

}  // namespace

Health operator_health(const LinearOperator& A, const OperatorHealthOptions& options) {
  check_health_options(options);
  const torch::NoGradGuard no_grad;
  Health health{A.name()};
  const auto type = c10::typeMetaToScalarType(A.options().dtype());
  Examination(A, options, tolerance_or(options, rounding_through_network(type))).run(health);
  return health;
}

Health operator_health(const LossGraph& graph, const Curvature& curvature,
                       const OperatorHealthOptions& options) {
  check_health_options(options);
  const double tolerance = tolerance_or(options, loss_census(graph).rounding);
  Health health{curvature.describe()};
  std::optional<CurvatureAt> at;
  examine(health, "products", [&] {
    at.emplace(curvature.at(graph));
    return judged("products", 0, 0, "");
  });
  if (at) {
    health.checks.clear();  // what looks at the products says more
    const torch::NoGradGuard no_grad;
    Examination(at->matrix, options, tolerance).run(health);
    // Of a loss that cannot be read it may not be known how many examples there are.
    if (graph.is_readable()) examine(health, "noise", [&] { return noise_check(*at); });
    const bool tells = at->targets.defined() && at->matrix.root_form().has_value();
    if (tells && !(graph.is_readable() && graph.has_penalties())) {
      examine(health, "targets", [&] { return targets_check(graph, *at, tolerance); });
    }
  }
  blame(health, [&] { return undifferentiable_op(graph); });
  return health;
}

}  // namespace natgrad
