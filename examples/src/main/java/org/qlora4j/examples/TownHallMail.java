package org.qlora4j.examples;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/**
 * Makes the data of {@code examples/first-run}: mails to a town hall, each with the line of JSON
 * that says which office it is for and whether it is urgent. No sentence of the held-out mails
 * stands in those to learn from, and their names and greetings are new; the words that tell an
 * office are not.
 *
 * <p>Needs nothing but a JDK: {@code java TownHallMail.java examples/first-run}.
 */
final class TownHallMail {
    private static final int LEARNT_OF_AN_OFFICE = 84;
    private static final int HELD_OUT_OF_AN_OFFICE = 16;
    private static final List<String> NAMES = List.of("Omar", "Mrs. Brown", "Julia", "Peter");

    private TownHallMail() {}

    /** Writes {@code data.jsonl} and {@code held-out.jsonl} into a folder. */
    public static void main(String[] args) throws IOException {
        Path folder = Path.of(args[0]);
        Files.writeString(folder.resolve("data.jsonl"), String.join("", rows(false)));
        Files.writeString(folder.resolve("held-out.jsonl"), String.join("", rows(true)));
    }

    /** Lines of JSON, the same at every call. */
    static List<String> rows(boolean heldOut) {
        Random random = new Random(heldOut ? 2 : 1);
        List<String> rows = new ArrayList<>();
        for (Office office : OFFICES) {
            List<String> sentences = office.sentences().of(heldOut);
            int count = heldOut ? HELD_OUT_OF_AN_OFFICE : LEARNT_OF_AN_OFFICE;
            for (int i = 0; i < count; i++) {
                boolean urgent = (i + i / sentences.size()) % 2 == 0; // each sentence both ways
                String matter =
                        sentences.get(i % sentences.size()).replace("{name}", one(NAMES, random));
                String hurry = one((urgent ? URGENT : NOT_URGENT).of(heldOut), random);
                String greeting = one(GREETINGS.of(heldOut), random);
                String text = random.nextInt(3) == 0 ? hurry + " " + matter : matter + " " + hurry;
                rows.add(row((greeting + " " + text).strip(), office.name(), urgent));
            }
        }
        Collections.shuffle(rows, random);
        return rows;
    }

    private static String one(List<String> texts, Random random) {
        return texts.get(random.nextInt(texts.size()));
    }

    private static String row(String mail, String office, boolean urgent) {
        return """
        {"input": "%s", "output": "{\\"office\\":\\"%s\\",\\"urgent\\":%s}"}
        """
                .formatted(mail, office, urgent);
    }

    /** Texts, one a line: those to learn from, and those that are held out. */
    private record Texts(String learnt, String heldOut) {
        List<String> of(boolean isHeldOut) {
            return (isHeldOut ? heldOut : learnt).lines().toList();
        }
    }

    private record Office(String name, Texts sentences) {}

    private static final Texts GREETINGS =
            new Texts(
                    """
                    Hello,
                    Good morning,

                    Dear team,
                    """,
                    """
                    Good evening,

                    Dear all,
                    Hello everyone,
                    """);

    private static final Texts URGENT =
            new Texts(
                    """
                    Please help me today!
                    I need an answer now.
                    Come at once!
                    This is an emergency.
                    We cannot wait.
                    Please be quick!
                    It must happen today.
                    """,
                    """
                    It is an emergency, be quick!
                    Please come now!
                    I need help at once.
                    I cannot wait, answer today!
                    """);

    private static final Texts NOT_URGENT =
            new Texts(
                    """
                    There is no need to hurry.
                    Take your time.
                    Any time is fine.
                    It can wait until next month.
                    Next week is early enough.
                    Write to me when you have time.
                    I can wait.
                    """,
                    """
                    It can wait, take your time.
                    Next month is fine.
                    There is no hurry, any time is early enough.
                    Write to me next week, I can wait.
                    """);

    private static final List<Office> OFFICES =
            List.of(
                    new Office(
                            "health",
                            new Texts(
                                    """
                                    I have pain in my back.
                                    My heart beats too fast.
                                    Where do patients get a blood test?
                                    My child has a skin disease.
                                    I need a new treatment.
                                    Which diet is good for the heart?
                                    My symptoms are getting worse.
                                    I cannot sleep because of the pain.
                                    Can I get my medical report?
                                    My skin is red and hot.
                                    The blood test of my mother is missing.
                                    How long does the treatment of this disease take?
                                    The patients need more medical care.
                                    What are the symptoms of a weak heart?
                                    """,
                                    """
                                    {name} has pain in the heart.
                                    My mother needs a blood test.
                                    I need medical help for my skin.
                                    The patients wait for their treatment.
                                    Is this diet good for people with a heart disease?
                                    {name} cannot sleep and has other symptoms.
                                    The pain in my skin is back.
                                    Who can read the medical report of {name}?
                                    """)),
                    new Office(
                            "school",
                            new Texts(
                                    """
                                    My son does not like his school.
                                    The students need new books.
                                    When does the first class begin?
                                    I want to study history.
                                    The exam was too hard.
                                    My daughter wants to learn a language.
                                    The school is closed.
                                    Where are the results of the exam?
                                    Who will teach the class?
                                    Our students learn to read and write.
                                    I lost the book of my class.
                                    How many students study at the school?
                                    Can I learn to write better?
                                    The teacher of my son is away.
                                    """,
                                    """
                                    {name} wants to study at your school.
                                    The books for the class are missing.
                                    Our students have an exam.
                                    {name} wants to learn how to read.
                                    The teacher did not write the results.
                                    When is the exam of my daughter?
                                    Which school has a class for {name}?
                                    My students lost their books.
                                    """)),
                    new Office(
                            "money",
                            new Texts(
                                    """
                                    I paid too much money.
                                    The price is wrong.
                                    What does the service cost?
                                    I want to open a business.
                                    My company must pay a tax.
                                    When do I get my money back?
                                    The bank took the money twice.
                                    The cost of the product is too high.
                                    Please send me the bill.
                                    Can my company pay later?
                                    I did not get the bill for my business.
                                    Why is the price so high?
                                    The tax on my product is wrong.
                                    My bank did not pay.
                                    """,
                                    """
                                    {name} paid the bill twice.
                                    Our company lost money.
                                    The tax for my business is too high.
                                    How much is the price of the product?
                                    {name} wants the money back.
                                    The cost of the service is wrong.
                                    Did the bank pay the company?
                                    I got the wrong bill from {name}.
                                    """)),
                    new Office(
                            "nature",
                            new Texts(
                                    """
                                    The water in the river is black.
                                    There are dead fish in the lake.
                                    The plants near my house are dying.
                                    Wild animals come into our street.
                                    Who takes care of the trees?
                                    The air is full of smoke.
                                    Can we plant trees on this land?
                                    The animals have no water.
                                    There is oil on the land.
                                    Fish and plants die in the heat.
                                    The soil of the forest is dry.
                                    A tree fell into the river.
                                    Which plants grow in this soil?
                                    The lake has no fish.
                                    """,
                                    """
                                    {name} saw a dead animal in the river.
                                    The trees in our street are dying.
                                    There is oil in the water of the lake.
                                    Which fish live in this river?
                                    The plants of {name} have no water.
                                    The soil on our land is black.
                                    Wild animals eat the plants.
                                    The air near the forest is full of smoke.
                                    """)));
}
