/** A program of somebody else on the module path. */
module consumer {
    requires org.qlora4j;
}
