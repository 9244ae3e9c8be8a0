#pragma once

#include <natgrad/export.h>
#include <natgrad/tensor.h>
#include <torch/optim/optimizer.h>

#include <memory>
#include <string>
#include <vector>

namespace torch::nn {
class Module;
}
namespace torch::jit {
struct Module;
}

namespace natgrad {

/// The optimizer that a configuration names, for programs whose user chooses it in a file:
///
///     {"type": "natgrad"}
///     {"type": "natgrad", "lr": 0.1, "curvature": "GaussNewton",
///      "solver": {"type": "ConjugateGradient", "max_iterations": 20}, "damping": {"type":
///      "Tikhonov", "lambda": 0.01}}
///     {"type": "natgrad-kfac", "lambda": 20}
///     {"type": "adam", "lr": 0.001, "betas": [0.9, 0.999]}
///
/// `json` is the text of one object (nlohmann's `config["optimizer"].dump()`). "type" is "natgrad",
/// one of the presets as "natgrad-hessian-free", "natgrad-kfac", ..., with the preset's own
/// arguments beside the options, or LibTorch's "adam", "adamw", "sgd", "rmsprop", "adagrad",
/// "lbfgs". The other names are those of the options in C++ (options.h), a part is the name of its
/// class, or an object of it and its options. As in C++ an "lr" of "natgrad" fixes the rate, and
/// without one the default rule chooses it.
///
/// Train through the base class with `step` below. Throws `c10::Error` for text that is no JSON
/// object, for a type or a name that is not known, listing those that are, for a value of another
/// kind, and as the optimizer's own constructor does.
NATGRAD_EXPORT std::unique_ptr<torch::optim::Optimizer> make_optimizer(
    std::vector<torch::Tensor> parameters, const std::string& json);
/// The same with groups; one that was given options keeps them, and they have to be of this type.
NATGRAD_EXPORT std::unique_ptr<torch::optim::Optimizer> make_optimizer(
    const std::vector<torch::optim::OptimizerParamGroup>& groups, const std::string& json);
/// The same for all parameters of a model, which a natural gradient is then told of
/// (`NaturalGradientOptions::module`): a failed step puts its buffers back too.
NATGRAD_EXPORT std::unique_ptr<torch::optim::Optimizer> make_optimizer(
    const std::shared_ptr<torch::nn::Module>& model, const std::string& json);
/// The same for a scripted model, as `torch::jit::load` gives it.
NATGRAD_EXPORT std::unique_ptr<torch::optim::Optimizer> make_optimizer(
    const torch::jit::Module& model, const std::string& json);

/// One step of any optimizer on the loss of a batch: a natural gradient reads it, any other is
/// given its gradients by `zero_grad()` and `backward()`. Returns the loss. L-BFGS, which evaluates
/// more than once, throws: it takes a closure.
NATGRAD_EXPORT torch::Tensor step(torch::optim::Optimizer& optimizer, const torch::Tensor& loss);
/// The same with a closure that computes the loss, without `zero_grad()` and `backward()`, for
/// optimizers that evaluate more than once, too.
NATGRAD_EXPORT torch::Tensor step(torch::optim::Optimizer& optimizer,
                                  const torch::optim::Optimizer::LossClosure& closure);

}  // namespace natgrad
