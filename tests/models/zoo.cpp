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
      {"contrastive", contrastive, {2.3, Preset::HessianFree, false}},
      {"conv_net", conv_net, {0.18, Preset::Kfac, true}},
      {"cosine_siamese", cosine_siamese, {0.074, Preset::HessianFree, false}},
      {"cox_survival", cox_survival, {2.9, Preset::HessianFree, false}},
      {"cross_entropy_by_hand", cross_entropy_by_hand, {0.44, Preset::Kfac, true}},
      {"ctc", ctc, {0.64, Preset::HessianFree, false}},
      {"deep_autoencoder", deep_autoencoder, {0.35, Preset::Kfac, false}},
      {"denoising_diffusion", denoising_diffusion, {0.46, Preset::Kfac, false}},
      {"dice_segmentation", dice_segmentation, {0.22, Preset::Kfac, false}},
      {"distillation", distillation, {0.61, Preset::Kfac, false}},
      {"embedding_bag", embedding_bag, {0.11, Preset::HessianFree, true}},
      {"focal_loss", focal_loss, {0.017, Preset::Kfac, true}},
      {"gaussian_nll_by_hand", gaussian_nll_by_hand, {0.081, Preset::HessianFree, true}},
      {"gaussian_nll_loss", gaussian_nll_loss, {0.24, Preset::Kfac, true}},
      {"graph_convolution", graph_convolution, {0.15, Preset::HessianFree, false}},
      {"gru_forecaster", gru_forecaster, {0.074, Preset::HessianFree, false}},
      {"hinge_svm", hinge_svm, {0.33, Preset::KrylovSubspaceDescent, true}},
      {"log_cosh", log_cosh, {0.28, Preset::Kfac, true}},
      {"lstm_classifier", lstm_classifier, {0.48, Preset::HessianFree, true}},
      {"matrix_factorisation", matrix_factorisation, {2.9, Preset::Kfac, true}},
      {"mixture_density", mixture_density, {0.75, Preset::HessianFree, false}},
      {"mlp_classifier", mlp_classifier, {0.52, Preset::Kfac, true}},
      {"multi_task", multi_task, {-1.2, Preset::Kfac, false}},
      {"neural_field", neural_field, {0.078, Preset::KrylovSubspaceDescent, true}},
      {"pairwise_ranking", pairwise_ranking, {0.31, Preset::HessianFree, true}},
      {"physics_informed", physics_informed, {5, Preset::HessianFree, false}},
      {"poisson_counts", poisson_counts, {0.006, Preset::KrylovSubspaceDescent, true}},
      {"ppo", ppo, {0.074, Preset::NaturalGradient, false}},
      {"q_learning", q_learning, {0.17, Preset::Kfac, true}},
      {"quantile_regression", quantile_regression, {0.21, Preset::Kfac, false}},
      {"reinforce", reinforce, {0.069, Preset::NaturalGradient, false}},
      {"resnet", resnet, {0.36, Preset::HessianFree, false}},
      {"scripted_module", scripted_module, {0.37, Preset::HessianFree, true}},
      {"skip_gram", skip_gram, {1.9, Preset::HessianFree, false}},
      {"sparse_autoencoder", sparse_autoencoder, {0.21, Preset::Kfac, false}},
      {"tabular", tabular, {0.16, Preset::HessianFree, true}},
      {"tied_language_model", tied_language_model, {0.97, Preset::HessianFree, false}},
      {"transformer_classifier", transformer_classifier, {0.25, Preset::HessianFree, true}},
      {"triplet", triplet, {0.17, Preset::HessianFree, false}},
      {"two_tower", two_tower, {0.24, Preset::Kfac, true}},
      {"variational_autoencoder", variational_autoencoder, {22.4, Preset::HessianFree, false}},
  };
  return entries;
}

}  // namespace zoo
