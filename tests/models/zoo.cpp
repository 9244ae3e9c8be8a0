#include "models/zoo.h"

#include "models/models.h"

namespace zoo {

Model Entry::start(uint64_t seed) const {
  torch::manual_seed(seed);
  return make();
}

double full_loss(const Model& model) {
  if (model.measure) return model.measure();
  constexpr uint64_t kSeed = 99;
  auto generator = at::globalContext().defaultGenerator(at::kCPU);
  const auto state = generator.get_state();
  generator.set_current_seed(kSeed);
  double sum = 0;
  for (int64_t batch = 0; batch < kBatches; ++batch) sum += model.loss(batch).item<double>();
  generator.set_state(state);
  return sum / kBatches;
}

std::ostream& operator<<(std::ostream& stream, const Entry& entry) { return stream << entry.name; }

const std::vector<Entry>& zoo() {
  // Name, model, {goal, preset, one observation an example, warnings}.
  static const std::vector<Entry> entries{
      {"bce_by_hand", bce_by_hand, {0.15, Preset::Kfac, true}},
      {"contrastive", contrastive, {2.25, Preset::HessianFree, false}},
      {"conv_net", conv_net, {0.178, Preset::Kfac, true}},
      {"cosine_siamese", cosine_siamese, {0.0732, Preset::HessianFree, false, {kFound}}},
      {"cox_survival", cox_survival, {2.88, Preset::HessianFree, false, {kFound}}},
      {"cross_entropy_by_hand", cross_entropy_by_hand, {0.433, Preset::Kfac, true}},
      {"ctc", ctc, {0.632, Preset::HessianFree, false, {kFound}}},
      {"deep_autoencoder", deep_autoencoder, {0.35, Preset::Kfac, false}},
      {"denoising_diffusion", denoising_diffusion, {0.457, Preset::Kfac, false}},
      {"dice_segmentation", dice_segmentation, {0.212, Preset::HessianFree, false, {kFound}}},
      {"distillation", distillation, {0.604, Preset::Kfac, false}},
      {"embedding_bag", embedding_bag, {0.104, Preset::ScoreRows, true}},
      {"focal_loss", focal_loss, {0.0165, Preset::HessianFree, true, {kFound}}},
      {"gaussian_nll_by_hand", gaussian_nll_by_hand, {0.0807, Preset::HessianFree, true}},
      {"gaussian_nll_loss", gaussian_nll_loss, {0.239, Preset::Kfac, true}},
      {"graph_convolution", graph_convolution, {0.14, Preset::HessianFree, false}},
      {"gru_forecaster", gru_forecaster, {0.0895, Preset::HessianFree, false}},
      {"hinge_svm", hinge_svm, {0.33, Preset::HessianFree, true, {kFound}}},
      {"log_cosh", log_cosh, {0.276, Preset::HessianFree, true, {kFound}}},
      {"lstm_classifier", lstm_classifier, {0.215, Preset::KrylovSubspaceDescent, true}},
      {"matrix_factorisation",
       matrix_factorisation,
       {2.81, Preset::Kfac, true, {"Kronecker factors are a diagonal"}}},
      {"mixture_density", mixture_density, {0.745, Preset::HessianFree, false, {kFound}}},
      {"mlp_classifier", mlp_classifier, {0.519, Preset::Kfac, true}},
      {"multi_task", multi_task, {-1.29, Preset::Kfac, false}},
      {"neural_field", neural_field, {0.0773, Preset::KrylovSubspaceDescent, true}},
      {"pairwise_ranking", pairwise_ranking, {0.307, Preset::HessianFree, true}},
      {"physics_informed",
       physics_informed,
       {4.95, Preset::HessianFree, false, {"unequal numbers of examples"}}},
      {"poisson_counts", poisson_counts, {0.00516, Preset::KrylovSubspaceDescent, true}},
      {"ppo", ppo, {0.0733, Preset::HessianFree, false, {kFound}}},
      {"q_learning", q_learning, {0.164, Preset::Kfac, true}},
      {"quantile_regression", quantile_regression, {0.203, Preset::HessianFree, false, {kFound}}},
      {"reinforce", reinforce, {0.0683, Preset::NaturalGradient, false}},
      {"resnet", resnet, {0.356, Preset::HessianFree, false, {"couples the examples"}}},
      {"scripted_module", scripted_module, {0.367, Preset::HessianFree, true}},
      {"skip_gram", skip_gram, {1.82, Preset::HessianFree, false}},
      {"sparse_autoencoder", sparse_autoencoder, {0.204, Preset::Kfac, false}},
      {"tabular", tabular, {0.156, Preset::HessianFree, true}},
      {"tied_language_model",
       tied_language_model,
       {0.964, Preset::HessianFree, false, {"attention is computed by several ops"}}},
      {"transformer_classifier", transformer_classifier, {0.243, Preset::HessianFree, true}},
      {"triplet", triplet, {0.169, Preset::HessianFree, false, {kFound}}},
      {"two_tower", two_tower, {0.24, Preset::Kfac, true}},
      {"variational_autoencoder", variational_autoencoder, {22.3, Preset::HessianFree, false}},
  };
  return entries;
}

}  // namespace zoo
